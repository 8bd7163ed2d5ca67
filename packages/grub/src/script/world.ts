import type { Position } from "./source.js";

export interface WorldEntry {
  readonly name: string;
  /** A symbolic link is "other": `test` does not follow it. */
  readonly type: "file" | "directory" | "other";
  /** Seconds since 1970, when the file system keeps it. */
  readonly mtime?: number | undefined;
  /** The file system compares names without regard to case. */
  readonly caseInsensitive?: boolean | undefined;
}

/** What GRUB's `probe` and `search` see of a device. */
export interface DeviceFacts {
  /** GRUB's name of the file system driver ("ext2", "xfs", "fat"); absent when no driver takes the volume. */
  readonly fs?: string | undefined;
  readonly fsUuid?: string | undefined;
  readonly label?: string | undefined;
  /** Partition map of the partition ("msdos", "gpt"); absent on a whole disk. */
  readonly partmap?: string | undefined;
  readonly partUuid?: string | undefined;
  /** GRUB's disk driver: "xen", "diskfilter", "loopback", "hostdisk". */
  readonly driver?: string | undefined;
}

/** The files of one volume. Paths start with "/" and are passed as the script wrote them, `..` and links included. */
export interface Volume {
  probe(): Promise<DeviceFacts>;
  /** The regular file that GRUB would open at `path`, links followed; undefined when there is none. */
  exists(path: string): Promise<{ readonly size: number } | undefined>;
  /** Its bytes. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Entries of the directory, in any order, "." and ".." left out; undefined when it is none. */
  readDir(path: string): Promise<readonly WorldEntry[] | undefined>;
}

/** A command as it was called, its words already expanded. */
export interface CommandCall {
  readonly name: string;
  readonly args: readonly string[];
  readonly at: Position;
}

/** What a command that the host answers for did: `status` is GRUB's error number, 0 for success. */
export interface CommandAnswer {
  readonly status: number;
  /** Text it prints. */
  readonly output?: string | undefined;
  /** The message after "error: ", printed when `status` is neither 0 nor 1. */
  readonly message?: string | undefined;
  readonly set?: Readonly<Record<string, string>> | undefined;
}

/** A file that a loader command was given, and that is there. */
export interface LoadCall {
  /** "linux", "initrd", "multiboot", "module", ...: the command that took it. */
  readonly command: string;
  readonly role: "kernel" | "initrd" | "module";
  readonly device: string;
  readonly path: string;
  readonly at: Position;
}

/**
 * Everything a script can see of the machine it runs on. The interpreter has no other way out: it keeps no state
 * between runs and does no I/O of its own.
 */
export interface World {
  /** Ends a run with `aborted`, or with what a signal of `polledSignal` throws. */
  readonly signal?: AbortSignal | undefined;
  /** Names of all devices without parentheses, in the order GRUB visits them; disks and partitions alike. */
  devices(): Promise<readonly string[]>;
  /** What a device is; also asked for names not in `devices`, such as "hd0,1". Undefined: there is no such device. */
  probe(device: string): Promise<DeviceFacts | undefined>;
  exists(device: string, path: string): Promise<{ readonly size: number } | undefined>;
  read(device: string, path: string): Promise<Uint8Array | undefined>;
  readDir(device: string, path: string): Promise<readonly WorldEntry[] | undefined>;
  /**
   * Opens a file as a disk for `loopback`: its volumes by partition name, "" for the whole of it. Without this, what
   * is on such a device counts as unknown.
   */
  openImage?(device: string, path: string): Promise<ReadonlyMap<string, Volume> | undefined>;
  /**
   * Judges the content of a file before a loader takes it. An answer whose status is not 0 makes the command fail with
   * its message; without this method every file that is there is taken.
   */
  checkLoad?(call: LoadCall): Promise<CommandAnswer | undefined>;
  /** Called before every command, known to the interpreter or not. An answer replaces what the command would do. */
  onCommand?(call: CommandCall): Promise<CommandAnswer | undefined>;
}
