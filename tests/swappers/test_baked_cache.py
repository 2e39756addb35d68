"""Baked identities: the same output as from the generator, and a cache of limited size."""

import pytest
import torch
import torch.nn.functional as F

from styleswap_core.faces.recognizer_id import RecognizerId
from styleswap_core.identities.identity import Identity
from styleswap_core.model import Generator, preset
from styleswap_core.swappers.baked_cache import BakedCache
from styleswap_core.swappers.styleswap_network import StyleSwapNetwork, identity_sha256, run_generator


def who(seed, **more):
    return Identity(
        F.normalize(torch.randn(512, generator=torch.Generator().manual_seed(seed)), dim=0),
        RecognizerId("known"),
        **more,
    )


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return Generator(preset("tiny")).eval().requires_grad_(False)


def inverted(generator, seed):
    w_plus = torch.randn(generator.num_ws, generator.config.w_dim, generator=torch.Generator().manual_seed(seed))
    return who(seed, w_plus=w_plus, generator_sha256="c" * 64)


def test_each_crop_gets_its_own_identity(generator):
    people = [who(1), inverted(generator, 2), who(1), who(3)]
    crops = torch.rand(4, 3, 32, 32) * 2 - 1
    faces = StyleSwapNetwork(generator, dtype=torch.float32)
    expected = run_generator(generator, crops, people)
    for one, other in zip(expected, faces.swap_crops(crops, people), strict=True):
        assert (one - other).abs().max() < 1e-4
    assert len(faces.cache) == 3
    alone = faces.swap_crops(crops[:2], [who(3)] * 2)
    assert (alone.rgb - run_generator(generator, crops[:2], [who(3)] * 2).rgb).abs().max() < 1e-4


def test_embeddings_are_scaled_to_the_embedding_norm_baked_or_not():
    torch.manual_seed(0)
    generator = Generator(preset("tiny", embedding_norm=20.0)).eval().requires_grad_(False)
    # Without a bias, the normalization after this layer would hide the norm of the embedding.
    torch.nn.init.normal_(generator.mapping.input.bias)
    crops, person = torch.rand(1, 3, 32, 32) * 2 - 1, who(1)
    expected = generator(crops, 20 * person.id_embedding[None]).rgb
    assert (expected - generator(crops, person.id_embedding[None]).rgb).abs().max() > 1e-2
    assert (run_generator(generator, crops, [person]).rgb - expected).abs().max() < 1e-5
    assert (
        StyleSwapNetwork(generator, dtype=torch.float32).swap_crops(crops, [person]).rgb - expected
    ).abs().max() < 1e-4


def test_a_strength_below_1_runs_unbaked(generator):
    crops, own = torch.rand(2, 3, 32, 32) * 2 - 1, torch.stack([who(8).id_embedding, who(9).id_embedding])
    faces = StyleSwapNetwork(generator)
    expected = run_generator(generator, crops, [who(1)] * 2, own, 0.5)
    assert torch.equal(faces.swap_crops(crops, [who(1)] * 2, own, 0.5).rgb, expected.rgb) and len(faces.cache) == 0


def test_identity_hash_covers_what_reaches_the_generator_only(generator):
    assert identity_sha256(who(1)) == identity_sha256(who(1, sources=("a" * 64,)))
    assert len({identity_sha256(one) for one in (who(1), who(2), inverted(generator, 1), inverted(generator, 2))}) == 4


def test_a_cache_is_shared_by_generators_of_the_same_hash_only(generator):
    cache = BakedCache()
    first, again, other, nameless, nameless2 = (
        StyleSwapNetwork(generator, sha256=sha, cache=cache, dtype=torch.float32) for sha in ("a", "a", "b", "", "")
    )
    assert first.baked_for(who(1)) is again.baked_for(who(1)) is not other.baked_for(who(1))
    assert nameless.baked_for(who(1)) is nameless.baked_for(who(1)) is not nameless2.baked_for(who(1))
    assert StyleSwapNetwork(generator, sha256="a", cache=cache, dtype=torch.bfloat16).baked_for(
        who(1)
    ) is not first.baked_for(who(1))
    assert len(cache) == 5


class Sized:
    def __init__(self, size):
        self.size = size

    def memory_bytes(self):
        return self.size


def test_the_least_recently_used_entry_is_evicted_first():
    cache = BakedCache(max_bytes=100)
    for name in "abc":
        cache.get(name, lambda: Sized(30))
    cache.get("a", lambda: pytest.fail("the entry is cached"))
    cache.get("d", lambda: Sized(40))
    assert cache.keys() == ["c", "a", "d"] and cache.bytes() == 100
    cache.get("large", lambda: Sized(1000))
    assert cache.keys() == ["large"], "the newest entry is kept even beyond the limit"
    cache.get("small", lambda: Sized(1))
    assert cache.keys() == ["small"]
    cache.clear()
    assert len(cache) == 0 and cache.bytes() == 0


def test_a_failed_entry_is_not_cached():
    cache = BakedCache()
    with pytest.raises(KeyError):
        cache.get("a", lambda: {}["nothing"])
    assert len(cache) == 0 and cache.get("a", lambda: Sized(1)).size == 1
