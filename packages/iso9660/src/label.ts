import type { DescriptorSet } from "./descriptors.js";

/** The volume's name, blanks and NULs at its end dropped. */
export function labelOf({ primary }: DescriptorSet): Uint8Array {
  const { volumeId } = primary;
  let end = volumeId.length;
  while (end > 0 && (volumeId[end - 1] === 0x20 || volumeId[end - 1] === 0)) end -= 1;
  return volumeId.slice(0, end);
}
