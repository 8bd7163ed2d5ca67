import { bufferDevice, FindingLog } from "@guestprobe/block";
import { iso9660 } from "@guestprobe/iso9660";
import { type FileSystem, resolve } from "@guestprobe/vfs";
import { fixtures } from "./fixtures.js";

/** A committed volume, unpacked. */
export const isoFixture = (name: string): Uint8Array =>
  fixtures("iso9660")
    .find((fixture) => fixture.name === name)!
    .image();

/** A copy of `image` with `edit` done to it. */
export function edited(image: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = image.slice();
  edit(new DataView(copy.buffer));
  return copy;
}

export async function openIso(image: Uint8Array): Promise<{ fs: FileSystem; log: FindingLog }> {
  const log = new FindingLog();
  return { fs: await iso9660.open(bufferDevice(image), { report: log.report }), log };
}

/** Where the directory record of a file lies, how long it is, and where in it each system use field begins. */
export async function recordOf(
  image: Uint8Array,
  path: string,
): Promise<{ at: number; length: number; field(signature: string): number }> {
  const { fs } = await openIso(image);
  const at = (await resolve(fs, path, { followLast: false }))!.inode.offset!;
  const length = image[at]!;
  return {
    at,
    length,
    field(signature) {
      const nameLength = image[at + 32]!;
      for (
        let place = at + 33 + nameLength + (1 - (nameLength % 2));
        place + 4 <= at + length;
        place += image[place + 2]!
      ) {
        if (String.fromCharCode(image[place]!, image[place + 1]!) === signature) return place;
        if (image[place + 2]! < 4) break;
      }
      throw new Error(`${path} has no field ${signature}`);
    },
  };
}

/** The names in a directory. */
export async function namesIn(fs: FileSystem, path: string): Promise<string[]> {
  const names: string[] = [];
  for await (const batch of (await resolve(fs, path))!.inode.entries()) {
    names.push(...batch.map(({ name }) => new TextDecoder().decode(name)));
  }
  return names;
}
