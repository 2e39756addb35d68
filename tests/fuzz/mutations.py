"""Mutations of files: of any bytes, and of the structure of each format. All draw from a `Random` only."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from random import Random

Mutation = Callable[[bytes, Random], bytes]

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
# Values that JSON files and metadata may hold in place of what is expected.
_VALUES = (
    None,
    True,
    0,
    -1,
    2,
    1 << 40,
    1 << 70,
    0.5,
    -1e308,
    "",
    "x",
    "\x1b[31mred",
    "\ud800",
    "a" * 5000,
    "../../x",
    [],
    {},
    [[]],
    [1, 2],
    {"a": 1},
    ["a", None],
)
# Text in place of a value: what a JSON encoder would not write.
_RAW = ("[" * 20_000, '{"a":' * 20_000, "9" * 5_000, "NaN", "-Infinity", "1e999", "0x10", "tru", "'a'", '"\\ud800"')
_MARK = "\u2603raw\u2603"


def of_bytes(data: bytes, random: Random) -> bytes:
    """Bytes changed, lost, repeated, added or replaced by extreme numbers."""
    bent = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(max(1, len(bent)))
        length = random.choice((1, 2, 4, 8, 64, 1024))
        step = random.randrange(8)
        if step == 0:
            bent[at : at + 1] = bytes([random.randrange(256)])
        elif step == 1:
            bent[at : at + 1] = bytes([(bent[at] if bent else 0) ^ (1 << random.randrange(8))])
        elif step == 2:
            del bent[at:]
        elif step == 3:
            del bent[at : at + length]
        elif step == 4:
            bent[at:at] = bent[at : at + length]
        elif step == 5:
            bent[at : at + length] = bytes(length)
        elif step == 6:
            bent[at:at] = random.randbytes(length)
        else:
            kind = random.choice(("<I", ">I", "<H", ">H", "<Q"))
            number = random.choice(_NUMBERS) & ((1 << (8 * struct.calcsize(kind))) - 1)
            bent[at : at + struct.calcsize(kind)] = struct.pack(kind, number)
    return bytes(bent)


def of_head(data: bytes, random: Random) -> bytes:
    """The first bytes, in which most formats state what follows."""
    size = min(len(data), random.choice((16, 64, 512)))
    return of_bytes(data[:size], random) + data[size:]


def of_png(data: bytes, random: Random) -> bytes:
    """Chunks changed, added, repeated, lost or moved, with valid checksums."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    number = random.randrange(len(chunks))
    kind, content = chunks[number]
    step = random.randrange(6)
    if step == 0:
        chunks[number] = (kind, of_bytes(content, random))
    elif step == 1:
        del chunks[number]
    elif step == 2:
        chunks.insert(random.randrange(len(chunks)), chunks[number])
    elif step == 3:
        random.shuffle(chunks)
    elif step == 4:
        packed = zlib.compress(bytes(random.choice((10, 1 << 21))))
        added = random.choice(
            (
                (b"iCCP", b"p\0\0" + packed),
                (b"zTXt", b"k\0\0" + packed),
                (b"iTXt", b"k\0\1\0\0\0" + packed),
                (b"eXIf", random.randbytes(40)),
                (b"tRNS", random.randbytes(random.randrange(8))),
                (b"acTL", struct.pack(">II", random.choice(_NUMBERS) & 0xFFFFFFFF, 0)),
                (b"PLTE", random.randbytes(random.randrange(30))),
                (b"pHYs", random.randbytes(random.randrange(10))),
            )
        )
        chunks.insert(min(1, len(chunks)), added)
    else:
        header = bytearray(chunks[0][1])
        at = random.randrange(len(header)) if header else 0
        header[at : at + 1] = bytes([random.choice((0, 1, 2, 3, 4, 6, 8, 16, 17, 255))])
        chunks[0] = (chunks[0][0], bytes(header))
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return data[:8] + body


def of_exif(data: bytes, random: Random) -> bytes:
    """Bytes inside of EXIF data, or of the first directory of a TIFF."""
    start = data.find(b"Exif\0\0") + 6 if b"Exif\0\0" in data else max(0, data.find(b"II*\0"))
    bent = bytearray(data)
    for _ in range(random.choice((1, 2, 3))):
        bent[min(len(bent) - 1, start + random.randrange(350))] = random.randrange(256)
    return bytes(bent)


def of_json(data: bytes, random: Random) -> bytes:
    """A value of a JSON text replaced, removed, or nested too deeply."""
    return _json_text(json.loads(data), random).encode("utf-8", "surrogatepass")


def _json_text(tree: object, random: Random) -> str:
    root = {"": tree}
    spots = list(_spots(root))
    table, key = random.choice(spots)
    step = random.randrange(4)
    text = ""
    if step == 0 and isinstance(table, dict) and table is not root:
        del table[key]
    elif step == 1:
        table[key], text = _MARK, random.choice(_RAW)
    elif step == 2 and isinstance(table[key], str) and table[key][:1] in "[{" and table[key]:
        # Metadata holds JSON within text.
        table[key] = _json_text(json.loads(table[key]), random)
    else:
        table[key] = random.choice(_VALUES)
    return json.dumps(root[""]).replace(json.dumps(_MARK), text)


def _spots(tree: object) -> list[tuple]:
    """Each place of a tree, as its table or list and its key."""
    found = []
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        found.append((tree, key))
        if isinstance(tree[key], dict | list):
            found += _spots(tree[key])
    return found


def of_safetensors(data: bytes, random: Random) -> bytes:
    """Header of a safetensors file: names, types, shapes, places and metadata."""
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    step = random.randrange(6)
    if step == 0 and "__metadata__" in header:
        metadata = header["__metadata__"]
        key = random.choice(list(metadata))
        if metadata[key][:1] in ("[", "{") and random.random() < 0.8:
            metadata[key] = _json_text(json.loads(metadata[key]), random)
        else:
            metadata[key] = random.choice(("", "x", "-1", "nan", "9" * 5000, "1e400", "[" * 20_000, "\x1b[31m", "{}"))
    elif step == 1:
        one = header[random.choice(names)]
        one["dtype"] = random.choice(
            ("F64", "F32", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F4", "C64", "I32", "U64", "F6_E2M3", "X")
        )
    elif step == 2:
        one = header[random.choice(names)]
        one["shape"] = random.choice(
            ([], [0], [1], one["shape"][::-1], [*one["shape"], 1], [-1], [1 << 62, 4], [1] * 70)
        )
    elif step == 3:
        old = random.choice(names)
        header[random.choice(("", "x", "\x1b[31m", "a" * 300, random.choice(names)))] = header.pop(old)
    elif step == 4:
        header.pop(random.choice(list(header)))
    else:
        text = _json_text(header, random).encode("utf-8", "surrogatepass")
        return len(text).to_bytes(8, "little") + text + rest
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def of_zip(data: bytes, random: Random) -> bytes:
    """Members of a zip archive changed, with valid checksums."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    number = random.randrange(len(members))
    pickled = [place for place, (name, _) in enumerate(members) if name.endswith(".pkl")]
    number = random.choice(pickled) if pickled and random.random() < 0.7 else number
    name, content = members[number]
    step = random.randrange(4)
    if step == 0:
        del members[number]
    elif step == 1:
        members[number] = (random.choice(("x", "../x", "/x", name + "x")), content)
    else:
        members[number] = (name, of_pickle(content, random) if name.endswith(".pkl") else of_bytes(content, random))
    stream = BytesIO()
    packing = zipfile.ZIP_DEFLATED if random.random() < 0.1 else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def of_pickle(data: bytes, random: Random) -> bytes:
    """Pickles that repeat, share or contain themselves, beside changed bytes."""
    step = random.randrange(8)
    if step == 0:  # tables that share their values, doubled again and again
        depth = random.choice((5, 20, 40, 60))
        return b"\x80\x02}q\0" + b"}q\1(U\1aj\0\0\0\0U\1bj\0\0\0\0u" + _laughs(depth, b"}", b"(U\1ahU\1bhu") + b"."
    if step == 1:  # lists likewise
        return b"\x80\x02" + _laughs(random.choice((5, 20, 40, 60)), b"]", b"(hhe") + b"."
    if step == 2:  # a list and a table that contain themselves
        return random.choice((b"\x80\x02]q\0h\0a.", b"\x80\x02}q\0U\1ah\0s.", b"\x80\x02}q\0U\1a]q\1h\1ah\0as."))
    if step == 3:
        return (
            b"\x80\x02" + b"]" * random.choice((100, 50_000)) + b"."
            if random.random() < 0.5
            else of_bytes(data, random)
        )
    if step == 4 and len(data) > 20:  # a global of another kind
        name = random.choice(
            (b"os\nsystem\n", b"builtins\neval\n", b"numpy\nload\n", b"\x1b[31m\nred\n", b"torch\nload\n")
        )
        return data[:2] + b"c" + name + b"U\1a\x85R0" + data[2:]
    if step == 5:  # a key whose hash is computed twice per level
        return b"\x80\x02}q\0" + _tuples(random.choice((5, 20, 40, 60))) + b"K\1s."
    if step == 6:  # the same bytes as many arrays
        values = b"B" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
        kind = b"cnumpy\ndtype\n(U\2f4K\0K\1tRq\2"
        array = b"cnumpy.core.numeric\n_frombuffer\n(h\1h\2J\0\0\4\0\x85U\1CtR"
        many = b"".join(b"U\4%04d" % number + array for number in range(random.choice((3, 2000))))
        return b"\x80\x02}q\0(U\4data" + values + b"q\1U\4kind" + kind + many + b"u."
    return of_bytes(data, random)


def _laughs(depth: int, empty: bytes, twice: bytes) -> bytes:
    """`depth` containers, each with the previous one twice."""
    body = empty + b"q\x02"
    for level in range(depth):
        before, own = b"h" + bytes([2 + level]), b"q" + bytes([3 + level])
        body += empty + own + twice.replace(b"h", before)
    return body


def _tuples(depth: int) -> bytes:
    """A tuple of `depth` levels, each of which holds the previous one twice."""
    return b"K\1" + b"".join(b"q%ch%c\x86" % (2 + level, 2 + level) for level in range(depth))


def of_lines(data: bytes, random: Random) -> bytes:
    """Lines of a text changed, repeated, joined or replaced."""
    lines = data.split(b"\n")
    number = random.randrange(len(lines))
    step = random.randrange(6)
    if step == 0:
        lines[number] = of_bytes(lines[number], random)
    elif step == 1:
        lines.insert(number, lines[number])
    elif step == 2:
        lines[number] = b'"' + lines[number]
    elif step == 3:
        lines[number] = b"," * random.randrange(9) + b"a" * random.choice((0, 200_000))
    elif step == 4:
        lines[number] = random.choice(_RAW).encode()
    else:
        return data.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-32", "cp500")))
    return b"\n".join(lines)


def of_onnx(data: bytes, random: Random) -> bytes:
    """A field of an ONNX file: names, operators, types, shapes, attributes, places of weights."""
    import onnx

    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    texts = ("", "x", "\x1b[31m", "\ud7ff" * 50, "../../x", "input", "target", "source", "Loop", "If", "Constant")
    step = random.randrange(10)
    node = random.choice(graph.node)
    if step == 0:
        node.op_type = random.choice((*texts, "Conv", "Reshape", "Split", "Identity"))
    elif step == 1 and node.input:
        node.input[random.randrange(len(node.input))] = random.choice(texts)
    elif step == 2 and node.output:
        node.output[random.randrange(len(node.output))] = random.choice(texts)
    elif step == 3:
        value = random.choice([*graph.input, *graph.output])
        value.type.tensor_type.elem_type = random.choice((0, 1, 7, 8, 10, 16, 17, 22, 23, 99))
    elif step == 4:
        value = random.choice([*graph.input, *graph.output])
        for dimension in value.type.tensor_type.shape.dim:
            if random.random() < 0.5:
                dimension.dim_value = random.choice((-1, 0, 1, 3, 7, 512, 1 << 31, 1 << 60))
    elif step == 5 and graph.initializer:
        tensor = random.choice(graph.initializer)
        tensor.data_type = random.choice((0, 1, 2, 7, 8, 10, 14, 16, 17, 21, 22, 23, 99))
    elif step == 6 and graph.initializer:
        tensor = random.choice(graph.initializer)
        tensor.dims[:] = random.choice(([], [0], [1], [-1], [1 << 40, 1 << 40], list(tensor.dims)[::-1]))
    elif step == 7 and graph.initializer:
        tensor = random.choice(graph.initializer)
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", random.choice(("../x", "/dev/zero", "weights.bin", ""))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
    elif step == 8 and node.attribute:
        attribute = random.choice(node.attribute)
        attribute.name = random.choice((*texts, attribute.name))
        attribute.type = random.choice((1, 2, 3, 4, 6, 7, 8))
        attribute.i = random.choice((-1, 0, 1 << 40))
    else:
        entry = model.metadata_props.add()
        entry.key = random.choice(("styleswap_form", "styleswap_template", "styleswap_recognizer", "x"))
        entry.value = random.choice((*texts, "inswapper", "hyperswap"))
    return model.SerializeToString()
