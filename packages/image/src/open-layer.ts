import { type BlockDevice, finding, ImageError } from "@guestprobe/block";
import { detectImage } from "./detect.js";
import { IMAGE_AMBIGUOUS } from "./findings.js";
import { type Layer, type LayerContext, NO_INFO } from "./layer.js";
import type { ForeignFormat, ImageFormat } from "./types.js";

/** A reader is loaded once an image of its format is met. */
const FORMATS: Readonly<Record<ImageFormat, (file: BlockDevice, context: LayerContext) => Promise<Layer>>> = {
  raw: async (file) => openRaw(file),
  qcow2: async (file, context) => (await import("./qcow2/device.js")).openQcow2(file, context),
  vhd: async (file, context) => (await import("./vhd/device.js")).openVhd(file, context),
  vhdx: async (file, context) => (await import("./vhdx/device.js")).openVhdx(file, context),
  vmdk: async (file, context) => (await import("./vmdk/device.js")).openVmdk(file, context),
  vdi: async (file, context) => (await import("./vdi/device.js")).openVdi(file, context),
};

/** Why a recognised format is not read, and what to do. */
const FOREIGN: Readonly<Record<ForeignFormat, string>> = {
  qcow: "qcow version 1 is not read: convert it, qemu-img convert -O qcow2 FILE NEW",
  qed: "QED is not read: convert it, qemu-img convert -f qed -O qcow2 FILE NEW",
  parallels: "Parallels images are not read: convert it, qemu-img convert -f parallels -O qcow2 FILE NEW",
  gzip: "the file is compressed as a whole by gzip: unpack it first, gzip -dk FILE",
  xz: "the file is compressed as a whole by xz: unpack it first, xz -dk FILE",
  zstd: "the file is compressed as a whole by zstd: unpack it first, zstd -d FILE",
  bzip2: "the file is compressed as a whole by bzip2: unpack it first, bzip2 -dk FILE",
};

/** Opens one image of a chain, as `format` or as what it looks like. */
export async function openLayer(
  file: BlockDevice,
  format: ImageFormat | undefined,
  context: LayerContext,
): Promise<Layer> {
  if (format !== undefined) return open(file, format, context);
  const detected = await detectImage(file, context.signal);
  if (detected.matches.length > 1) {
    const [first, ...others] = detected.matches.map((name) =>
      name === "mbr" ? "a raw disk with a boot sector" : name,
    );
    const message = `the file is read as ${first}, and looks like ${others.join(" and ")} too`;
    context.report(finding(IMAGE_AMBIGUOUS, message));
  }
  if (isForeign(detected.format)) {
    throw new ImageError("unsupported", FOREIGN[detected.format], { format: detected.format, offset: 0 });
  }
  return open(file, detected.format, context);
}

function open(file: BlockDevice, format: ImageFormat, context: LayerContext): Promise<Layer> {
  if (context.snapshot !== undefined && format !== "qcow2") {
    throw new ImageError("not-found", `${format} images have no internal snapshots`, { format });
  }
  return FORMATS[format](file, context);
}

function isForeign(format: ImageFormat | ForeignFormat): format is ForeignFormat {
  return format in FOREIGN;
}

function openRaw(file: BlockDevice): Layer {
  return {
    format: "raw",
    virtualSize: file.size,
    sectorSize: file.sectorSize,
    info: NO_INFO,
    identity: undefined,
    parent: undefined,
    plain: file,
    locate: async (offset, length) => [{ kind: "stored", device: file, offset, length }],
  };
}
