import { decodeTextStrict, type FindingKind, finding, type Report, toHex } from "@guestprobe/block";

export const NAMES_CLASH: FindingKind = {
  code: "copy-names-clash",
  severity: "warning",
  title: "Two names of a directory are one on other systems",
  explanation:
    "The names differ in case, or in how their accents are written. Linux keeps them apart. On Windows and, as a rule, on macOS the " +
    "second one would be the first one's file: one of the two is lost when the copy is moved there.",
  next: ["copy one of the two under another name: `guestprobe cat IMAGE PATH > NAME`"],
};

export const NAME_RESERVED: FindingKind = {
  code: "copy-name-reserved",
  severity: "warning",
  title: "A name means something else on Windows",
  explanation:
    "Windows takes names like CON, NUL and COM1 for devices, whatever comes behind a dot, takes dots and spaces from the end of a name, " +
    'and allows neither control characters nor any of < > : " | ? * \\. A colon names a second stream of the file. The copy has ' +
    "the guest's name; a program on Windows would open something else by it, or nothing.",
  next: ["copy it under another name: `guestprobe cat IMAGE PATH > NAME`"],
};

/** Of a device whatever follows. Microsoft, "Naming Files, Paths, and Namespaces". */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\.|$)/i;
const FORBIDDEN = /[\u0000-\u001f<>:"|?*\\]/;

/** What Windows makes of a name; undefined where it takes it as it is. */
export function reservedName(name: string): string | undefined {
  const device = DEVICE.exec(name)?.[1];
  if (device !== undefined) return `Windows has a device ${device.toUpperCase()}`;
  if (/[. ]$/.test(name)) return `Windows takes the ${name.endsWith(".") ? "dot" : "space"} from its end`;
  const forbidden = FORBIDDEN.exec(name)?.[0];
  if (forbidden === undefined) return undefined;
  const code = forbidden.charCodeAt(0);
  return `Windows allows no ${code < 0x20 ? `control character (0x${code.toString(16).padStart(2, "0")})` : forbidden} in a name`;
}

/** A name as systems see it that disregard case and ways to write an accent. Bytes that are no text stand for themselves. */
export function foldedName(name: Uint8Array): string {
  // Upper case first: the long s, the final sigma and their like have one upper case with others.
  return decodeTextStrict(name)?.normalize("NFD").toUpperCase().toLowerCase() ?? `\0${toHex(name)}`;
}

/** Looks at the names of a walk that goes into a directory before the next entry beside it. */
export class PortableNames {
  readonly #report: Report;
  readonly #device: string;
  /** The directories on the way, each with its names so far. */
  readonly #open: { readonly directory: string; readonly names: Map<string, string> }[] = [];

  constructor(report: Report, device: string) {
    this.#report = report;
    this.#device = device;
  }

  /** Tells what another system would make of the last name of `path`. */
  take(path: Uint8Array): void {
    const slash = path.lastIndexOf(0x2f);
    const name = path.subarray(slash + 1);
    if (name.length === 0) return;
    const where = { device: this.#device, path };
    const text = decodeTextStrict(name);
    const reserved = text === undefined ? undefined : reservedName(text);
    if (reserved !== undefined) this.#report(finding(NAME_RESERVED, reserved, where));
    const names = this.#namesOf(toHex(path.subarray(0, slash)));
    const folded = foldedName(name);
    const other = names.get(folded);
    if (other === undefined) names.set(folded, text ?? "");
    else this.#report(finding(NAMES_CLASH, `the same as ${JSON.stringify(other)}, where case does not count`, where));
  }

  #namesOf(directory: string): Map<string, string> {
    while (this.#open.length > 0) {
      const last = this.#open.at(-1)!;
      if (last.directory === directory) return last.names;
      if (directory.startsWith(`${last.directory}2f`)) break;
      this.#open.pop();
    }
    const names = new Map<string, string>();
    this.#open.push({ directory, names });
    return names;
  }
}
