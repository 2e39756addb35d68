"""Two threads that use one face analysis and one swapper at the same time get what one thread gets, bit by bit."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from zoo_networks import write_zoo

from styleswap_core.faces.analysis import PackAnalyzer, load_face_analysis
from styleswap_core.identities.extraction import extract_identity
from styleswap_core.io.images import save_image, to_uint8
from styleswap_core.pipeline.swapper import Swapper
from styleswap_core.swappers.model_files import load_model
from styleswap_core.synthetic.parameters import Attributes, Identities
from styleswap_core.synthetic.world import render

THREADS = 2
SIDE = 160


@pytest.fixture(scope="module")
def pictures():
    """Pictures of different shapes with two people each."""
    heads = to_uint8(render(Identities.from_seeds(range(4)), Attributes.from_seeds(range(4)), size=SIDE).image)
    pairs = [(heads[one], heads[other]) for one, other in ((0, 1), (2, 3), (1, 2), (3, 0))]
    return [np.concatenate(pair, number % 2) for number, pair in enumerate(pairs)]


@pytest.fixture(scope="module")
def identities(pictures, tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("sources"), []
    for number in range(2):
        save_image(folder / f"{number}.png", pictures[number][:SIDE, :SIDE])
        found.append(extract_identity([folder / f"{number}.png"], load_face_analysis())[0])
    return found


def in_threads(work, count):
    """Results of `work` for 0, 1, ..., from threads that start together and differ in the order."""
    barrier = Barrier(THREADS)

    def run(thread):
        barrier.wait()
        order = range(count) if thread % 2 == 0 else range(count - 1, -1, -1)
        done = {number: work(number) for number in order}
        return [done[number] for number in range(count)]

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def of_analysis(analysis, pictures):
    def work(number):
        faces = analysis.detect(pictures[number], "left-right")
        # Loaded when they are first needed.
        analysis.landmark_model()
        analysis.with_gender_age(pictures[number], faces)
        return [(face.box, face.points, face.score, face.id_embedding) for face in faces]

    return work


@pytest.mark.parametrize("pack", ["demo", "opencv_zoo"])
def test_a_face_analysis(pack, pictures, tmp_path):
    folder = write_zoo(tmp_path / "opencv_zoo") if pack == "opencv_zoo" else None
    alone = of_analysis(load_face_analysis(folder), pictures)
    expected = [alone(number) for number in range(len(pictures))]
    assert pack != "demo" or all(len(faces) == 2 for faces in expected)
    for results in in_threads(of_analysis(load_face_analysis(folder), pictures), len(pictures)):
        for faces, wanted in zip(results, expected, strict=True):
            for face, one in zip(faces, wanted, strict=True):
                assert all(np.array_equal(value, other) for value, other in zip(face, one, strict=True))


def of_swapper(pictures, identities):
    swapper = Swapper(load_model(device="cpu"), load_face_analysis())

    def work(number):
        result = swapper.swap(pictures[number], identities[number % 2], "all")
        return np.asarray(result.image), result.mask.numpy(), [face.similarity for face in result.faces]

    return work


def test_a_swapper(pictures, identities):
    """Which also bakes each identity when it is first used."""
    alone = of_swapper(pictures, identities)
    expected = [alone(number) for number in range(len(pictures))]
    assert all(not np.array_equal(picture, done[0]) for picture, done in zip(pictures, expected, strict=True))
    for results in in_threads(of_swapper(pictures, identities), len(pictures)):
        for got, wanted in zip(results, expected, strict=True):
            assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1]) and got[2] == wanted[2]


def test_what_is_loaded_on_first_use_is_loaded_once():
    loads, entered = [], Barrier(THREADS)

    def load():
        loads.append(1)
        return

    analyzer = PackAnalyzer(None, None, load_landmarks=load, load_gender_age=load)

    def work(number):
        entered.wait()
        analyzer.with_gender_age(None, [])
        return analyzer.landmark_model()

    assert in_threads(work, 3) == [[None] * 3] * THREADS and len(loads) == 2
