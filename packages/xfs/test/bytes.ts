/** Bytes of hexadecimal digits; spaces and line ends between them are for the reader. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ""), "hex"));
}

/** `size` bytes, zeros but for the pieces given with their places. */
export function block(size: number, ...pieces: readonly (readonly [at: number, digits: string])[]): Uint8Array {
  const data = new Uint8Array(size);
  for (const [at, digits] of pieces) data.set(hex(digits), at);
  return data;
}
