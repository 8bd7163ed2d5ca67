/**
 * Compiles a WebAssembly module that is kept in base64. One of more than 4 KiB may not be compiled this way on the main
 * thread of some browsers. Throws what WebAssembly throws where it may not be compiled (a content policy that forbids it).
 */
export function compileWasm(base64: string): WebAssembly.Module {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return new WebAssembly.Module(bytes);
}
