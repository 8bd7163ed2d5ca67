/**
 * The number by which Xen knows a virtual disk, from its name in the guest: "xvda" is 51712, "sdb1" 2065, "hdc" 5632,
 * "d0p1" 51713; a plain number stands for itself. Undefined for other text. Source: Xen's docs/man/xen-vbd-interface(7).
 */
export function vbdHandle(vdev: string): number | undefined {
  if (/^(0x[0-9a-fA-F]+|[0-9]+)$/.test(vdev)) return Number(/^0[0-7]+$/.test(vdev) ? `0o${vdev}` : vdev);
  const dashed = /^d([0-9]+)(?:p([0-9]+))?$/.exec(vdev);
  if (dashed !== null) return xvdHandle(Number(dashed[1]), Number(dashed[2] ?? 0));
  const match = /^(xvd|sd|hd)([a-z]+)([0-9]*)$/.exec(vdev);
  if (match === null) return undefined;
  const disk = letterIndex(match[2]!);
  const part = Number(match[3] === "" ? 0 : match[3]);
  if (match[1] === "xvd") return xvdHandle(disk, part);
  if (match[1] === "sd") return disk < 16 && part < 16 ? 8 * 256 + disk * 16 + part : undefined;
  if (disk > 3 || part > 63) return undefined;
  return (disk < 2 ? 3 : 22) * 256 + (disk % 2) * 64 + part;
}

/** Past the sixteenth disk or fifteenth partition the number has another form, with bit 28 set. */
function xvdHandle(disk: number, part: number): number | undefined {
  if (disk < 16 && part < 16) return 202 * 256 + disk * 16 + part;
  return disk < 1 << 20 && part < 256 ? (1 << 28) + disk * 256 + part : undefined;
}

/** "a" is 0, "z" 25, "aa" 26. */
function letterIndex(letters: string): number {
  let index = 0;
  for (const letter of letters) index = index * 26 + letter.charCodeAt(0) - 0x60;
  return index - 1;
}
