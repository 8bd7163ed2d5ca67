import type { Finding, ImageError } from "@guestprobe/block";
import type { Initrd } from "./initrd.js";
import type { Kernel } from "./kernel.js";
import type { Loader, Mode } from "./profiles.js";

/** A step of the loader, in order. */
export interface Attempt {
  readonly kind: "search" | "config" | "load";
  /** The command as it was run: "search -s -f /boot/grub/grub.cfg". */
  readonly rule: string;
  /** The configuration and line it is in. */
  readonly file: string;
  readonly line: number;
  /** Where it led; undefined for a search that found nothing. */
  readonly device: string | undefined;
  readonly path: string;
  readonly ok: boolean;
  /** Why it was passed over. */
  readonly reason: string | undefined;
}

export interface CheckedKernel {
  readonly device: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly kernel: Kernel;
}

export interface CheckedInitrd {
  readonly device: string | undefined;
  readonly path: string;
  /** Undefined: it is not there. */
  readonly size: number | undefined;
  readonly initrd: Initrd | undefined;
}

/** A volume that the guest names, and what that leads to. */
export interface Reference {
  /** As written: "UUID=...", "/dev/xvda1". */
  readonly spec: string;
  /** GRUB's name of the volume. */
  readonly device: string | undefined;
  /** Whether the name is of a kind that these disks can answer for. */
  readonly known: boolean;
}

/** A loader that another loader started. */
export interface ChainLink {
  readonly device: string;
  readonly path: string;
  /** Of the GRUB inside. */
  readonly prefix: string | undefined;
}

export type Answer = "yes" | "no" | "unknown";

/** What a host's loader would make of a guest. */
export interface Verdict {
  readonly profile: string;
  readonly mode: Mode;
  readonly loader: Loader;
  readonly container: "pv" | "pvh";
  readonly answer: Answer;
  /** One sentence. */
  readonly summary: string;
  readonly attempts: readonly Attempt[];
  readonly chain: readonly ChainLink[];
  /** The configuration that was read last. */
  readonly config: { readonly device: string; readonly path: string } | undefined;
  readonly entry:
    | { readonly title: string; readonly path: readonly number[]; readonly line: number | undefined }
    | undefined;
  readonly kernel: CheckedKernel | undefined;
  readonly initrds: readonly CheckedInitrd[];
  /** As the kernel gets it. */
  readonly cmdline: string | undefined;
  readonly root: Reference | undefined;
  readonly resume: Reference | undefined;
  readonly fstab: readonly Reference[];
  readonly findings: readonly Finding[];
  readonly unread: readonly { readonly device: string; readonly error: ImageError }[];
}
