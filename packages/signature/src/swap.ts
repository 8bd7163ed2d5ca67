import { isZero } from "@guestprobe/block";
import { swap_header } from "./layout/members.js";
import { bytesOf, type Found, labelOf, type Magic, type SignatureRow, uuidOf } from "./row.js";
import type { Window } from "./window.js";

/** The header fills the first page, and its magic ends it: pages of 4 to 64 KiB. */
const PAGE_ENDS = [0x1000, 0x2000, 0x4000, 0x8000, 0x1_0000].map((page) => page - 10);
const HEADER_AT = 1024;
/** Some builds of boot code reach into the header: this far in, a label or UUID can be told from code. */
const CODE_PROBE = { offset: HEADER_AT + 0xac, length: 8 };
const TUX_ON_ICE = "\xed\xc3\x02\xe9\x98\x56\xe5\x0c";

const atPageEnds = (...texts: readonly string[]): Magic[] =>
  PAGE_ENDS.flatMap((at) => texts.map((text) => ({ at, is: text })));

function decodeHeader(window: Window, at: number, version: string): Found | undefined {
  const view = window.view(HEADER_AT, swap_header.$size);
  if (view === undefined) return undefined;
  const code = window.bytes(CODE_PROBE.offset, CODE_PROBE.length);
  if (code === undefined || !isZero(code)) return { offset: at, version };
  return {
    offset: at,
    version,
    label: labelOf(swap_header.sws_volume(view, 0)),
    uuid: uuidOf(swap_header.sws_uuid(view, 0)),
  };
}

/** What the ten bytes at the end of the page say. */
const SUSPENDED: ReadonlyMap<string, string> = new Map([
  ["S1SUSPEND", "s1suspend"],
  ["S2SUSPEND", "s2suspend"],
  ["ULSUSPEND", "ulsuspend"],
  ["LINHIB0001", "linhib0001"],
]);

const textAt = (window: Window, at: number): string => String.fromCharCode(...(window.bytes(at, 10) ?? []));

export const SWAP_ROWS: readonly SignatureRow[] = [
  {
    kind: "swsuspend",
    title: "swap area that holds a suspended system",
    usage: "other",
    source: "Linux, kernel/power/swap.c; TuxOnIce",
    minSize: 10 * 4096,
    magics: [{ at: 0, is: TUX_ON_ICE }, ...atPageEnds(...SUSPENDED.keys())],
    decode(window, at) {
      if (at === 0) return decodeHeader(window, at, "tuxonice");
      const text = textAt(window, at);
      const version = [...SUSPENDED].find(([magic]) => text.startsWith(magic))?.[1];
      return version === undefined ? undefined : decodeHeader(window, at, version);
    },
  },
  {
    kind: "swap",
    title: "swap area",
    usage: "other",
    source: "Linux, include/linux/swap.h",
    minSize: 10 * 4096,
    magics: atPageEnds("SWAP-SPACE", "SWAPSPACE2"),
    decode(window, at) {
      const start = window.bytes(0, 8);
      if (start !== undefined && bytesOf(TUX_ON_ICE).every((byte, index) => start[index] === byte)) return undefined;
      if (textAt(window, at) === "SWAP-SPACE") return { offset: at, version: "0" };
      const view = window.view(HEADER_AT, swap_header.$size);
      if (view === undefined || swap_header.last_page(view, 0) === 0) return undefined;
      const isVersion1 = view.getUint32(0, true) === 1 || view.getUint32(0, false) === 1;
      return isVersion1 ? decodeHeader(window, at, "1") : undefined;
    },
  },
];
