import { encodeText } from "@guestprobe/block";

const SECTOR = 512;

/**
 * A disk with GRUB 2 in its first sector and a core image behind it, which names its pieces and holds this stream of LZMA:
 * what follows the decompressor, without a header.
 *
 * @param unpacked Bytes that the core image says the stream gives.
 */
export function diskWithCore(stream: Uint8Array, unpacked: number): Uint8Array {
  const sectors = Math.ceil(stream.length / SECTOR) + 2;
  const disk = new Uint8Array((2 + sectors) * SECTOR);
  const view = new DataView(disk.buffer);
  disk.set(encodeText("GRUB \0Geom\0Hard Disk\0Read\0 Error"), 0x180);
  view.setUint16(0x5a, 0x8000, true);
  view.setBigUint64(0x5c, 1n, true);
  view.setUint8(0x64, 0xff);
  view.setUint16(510, 0xaa55, true);
  view.setBigUint64(SECTOR + 0x1f4, 2n, true);
  view.setUint16(SECTOR + 0x1f4 + 8, sectors, true);
  const core = 2 * SECTOR;
  view.setUint32(core + 8, stream.length, true);
  view.setUint32(core + 12, unpacked, true);
  const room = sectors * SECTOR - stream.length;
  disk.set(stream, core + room - (room % 16));
  return disk;
}

/** 420 bytes of a kernel with an ELF module, a script and the prefix "(,msdos1)/boot/grub" behind it, packed by liblzma. */
export const CORE = {
  unpacked: 420,
  stream: Buffer.from(
    "0035994aaba2e2af1fbe003c1b0b7c90874adc65256fe938303ed0f5ae0af43f905fec202d5e3589e44a9d7b2812d6b7b2dda2a8c9f180015f" +
      "ed74f5e8ae131e5bd5e776b1260b84131ec806940b8e0c70b776c7c97ffffd63e000",
    "hex",
  ),
};

/**
 * 50,000 headers of modules, each of which says that the same 125,000 empty objects follow it. As the repetition that it is,
 * liblzma packs it into less than a sector.
 */
export const ENDLESS_CORE = {
  unpacked: 2_600_000,
  stream: Buffer.from(
    [
      "ADaaSfsSYo1PKuM6X6eKN5EwZoF1ZJPFQiOiucMqY0nbWLZhShq5udG9tPsTivqI32rVDRt+GJ1sB6/Lwm2W+eeLq1pV4Fy+VYGBo4fJ3hct",
      "tcV29jU0BzK08FZ9DEMX1JYMGarR/nkhtagzj2KEfVpRYpJ0SVzEbbKS56DIzgcE7p/epULLiD9cAI/QTq8mKJRxHz2PJOFwnqcjX+woy4XR",
      "lYe5PC/3W6yC0g+4WY82jhMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhc",
      "WYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vua",
      "MC5WwI+F84OBwGXEJVP49ZE2MQWlsO5vwXBNRwzRkRGqrWAdus6xJxhcWYbpZlJYvul2rFnk5VsFCPnH2q38+1IrdM0eWyBC+d1TPfgpZAk7",
      "gMsqbN+1O/DEvS5fqg8+S2ZCkBMO/xCT+HF4WfgLzf+VKEYPqfx83vuaMC5WwI+F83+Wxaca///wxEAA",
    ].join(""),
    "base64",
  ),
};
