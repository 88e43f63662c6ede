"""Damage in image files that OpenCV decodes to wrong pixels without a word, or with one of its libraries' own on stderr.

Found are: in a PNG, whatever its checksums cover; in a TIFF, strips that lie beyond the end of the file, and those packed by deflate
whose checksum is wrong; in a JPEG, what no decoder can take for picture data, which is most of what overwrites or removes a few hundred
bytes. Not to be known are: a flipped bit that makes another valid picture of a JPEG, changed values of a BMP, and of a TIFF that is not
packed or packed by LZW or PackBits: these have no checksum.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_TIFF = {b"II*\0": "<", b"MM\0*": ">"}  # BigTIFF is not looked into
_OFFSETS, _COUNTS, _COMPRESSION = (273, 324), (279, 325), 259
_DEFLATE = (8, 32946)
_KINDS = {3: "H", 4: "I"}  # of TIFF's values


def damage(data: bytes) -> str:
    """What is wrong with the bytes of an image file, in a few words; empty where nothing is found, and for a format that is not known."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _of_png(data)
    if data.startswith(b"\xff\xd8"):
        return _of_jpeg(data)
    return _of_tiff(data, _TIFF[data[:4]]) if data[:4] in _TIFF else ""


def _of_png(data: bytes) -> str:
    """Chunks that a decoder must read: length, name, content, checksum."""
    view, place = memoryview(data), 8
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8]
        if end > len(data):
            break
        if name[:1].isupper() and zlib.crc32(view[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"the checksum of a chunk {name.decode('ascii', 'replace')!a} is wrong"
        if name == b"IEND":
            return ""
        place = end
    return "it is cut short"


def _of_jpeg(data: bytes) -> str:
    """What FFmpeg's decoder says, which stops where libjpeg goes on; of kinds that it does not know, nothing."""
    import av  # takes a tenth of a second, which readers of other formats need not wait for

    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options, decoder.thread_count = {"err_detect": "explode"}, 1
    try:
        frames = decoder.decode(av.Packet(_picture_alone(data)))
    except av.InvalidDataError:
        return "its picture data is damaged"
    except av.FFmpegError:
        return ""
    return "its picture data is damaged" if any(frame.is_corrupt for frame in frames) else ""


def _picture_alone(data: bytes) -> bytes:
    """A JPEG without comments, what programs and cameras noted, and what follows its end: it may hold anything."""
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # filling
            place += 1
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(data[place:end])
        place = end
        if marker == 0xDA:  # the picture data follows
            break
    last = data.rfind(b"\xff\xd9")
    return b"".join([*parts, data[place : last + 2 if last >= place else None]])


def _of_tiff(data: bytes, order: str) -> str:
    try:
        tags = dict(_tags(data, order))
    except struct.error:
        return "it is cut short"
    pieces = [
        (offset, count)
        for offsets, counts in zip(_OFFSETS, _COUNTS, strict=True)
        for offset, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)
    ]
    if any(offset + count > len(data) for offset, count in pieces):
        return "it is cut short"
    if tags.get(_COMPRESSION, (1,))[0] in _DEFLATE:
        for offset, count in pieces:
            try:
                zlib.decompress(memoryview(data)[offset : offset + count])
            except zlib.error:
                return "the checksum of a strip is wrong"
    return ""


def _tags(data: bytes, order: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The tags of the first picture that hold whole numbers of 16 or 32 bits, with these. Raises struct.error beyond the end."""
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, start)
    for place in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        if kind in _KINDS:
            form = f"{order}{count}{_KINDS[kind]}"
            inside = struct.calcsize(form) <= 4
            yield tag, struct.unpack_from(form, data, place + 8 if inside else struct.unpack_from(f"{order}I", data, place + 8)[0])
