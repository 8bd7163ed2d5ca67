import type { CommandCall, DeviceFacts, LoadCall, World } from "@guestprobe/grub/script";
import type { LoadAnswer } from "./kernels.js";
import type { Attempt } from "./verdict-types.js";

/** A loop of a script must not fill memory with steps. */
const MAX_ATTEMPTS = 2000;
const SEARCHES: ReadonlySet<string> = new Set(["search", "search.file", "search.fs_uuid", "search.fs_label"]);
const CONFIGS: ReadonlySet<string> = new Set([
  "configfile",
  "source",
  ".",
  "normal",
  "legacy_configfile",
  "legacy_source",
  "syslinux_configfile",
  "syslinux_source",
]);
const LOADS: ReadonlySet<string> = new Set([
  "linux",
  "linux16",
  "multiboot",
  "initrd",
  "initrd16",
  "module",
  "legacy_kernel",
  "legacy_initrd",
]);

/** GRUB's number for a file that it cannot boot (include/grub/err.h, GRUB_ERR_BAD_OS). */
const BAD_OS = 21;

interface Pending {
  readonly kind: Attempt["kind"];
  readonly call: CommandCall;
  readonly target: string;
  readonly by: "file" | "uuid" | "label";
  device: string | undefined;
  path: string;
  ok: boolean;
}

/** Watches a script from outside: what it looks for, reads and loads, in order. */
export class Trace {
  readonly attempts: Attempt[] = [];
  /** Commands that the configuration called, by name: where first. */
  readonly commands = new Map<string, CommandCall>();
  #pending: Pending | undefined;
  readonly #judge: (call: LoadCall) => Promise<LoadAnswer>;

  /** @param judge Whether the loader takes a file. */
  constructor(judge: (call: LoadCall) => Promise<LoadAnswer>) {
    this.#judge = judge;
  }

  /** The same world, with this trace listening. */
  watch(world: World): World {
    return {
      ...world,
      devices: () => world.devices(),
      probe: async (device) => {
        const facts = await world.probe(device);
        this.#probed(device, facts);
        return facts;
      },
      exists: async (device, path) => {
        const found = await world.exists(device, path);
        this.#looked(device, path, found !== undefined);
        return found;
      },
      read: async (device, path) => {
        const bytes = await world.read(device, path);
        if (this.#pending?.kind === "config") this.#looked(device, path, bytes !== undefined);
        return bytes;
      },
      readDir: (device, path) => world.readDir(device, path),
      onCommand: async (call) => {
        this.finish();
        this.#begin(call);
        return world.onCommand?.(call);
      },
      checkLoad: async (call) => {
        const answer = await this.#judge(call);
        this.#pending = undefined;
        const { command, device, path, at } = call;
        this.#add({
          kind: "load",
          rule: command,
          file: at.file,
          line: at.line,
          device,
          path,
          ok: answer.ok,
          reason: answer.ok ? undefined : answer.message,
        });
        return answer.ok ? undefined : { status: BAD_OS, message: answer.message };
      },
    };
  }

  #begin(call: CommandCall): void {
    const { name, args } = call;
    if (!this.commands.has(name)) this.commands.set(name, call);
    const words = args.filter((arg) => !arg.startsWith("-"));
    const target = (name === "search" ? words.at(-1) : words[0]) ?? "";
    const start = (kind: Attempt["kind"], by: Pending["by"] = "file"): void => {
      this.#pending = { kind, call, target, by, device: undefined, path: target, ok: false };
    };
    if (SEARCHES.has(name)) {
      const flags = args.filter((arg) => /^-[^-]/.test(arg)).join("");
      const uuid = name === "search.fs_uuid" || args.includes("--fs-uuid") || flags.includes("u");
      const label = name === "search.fs_label" || args.includes("--label") || flags.includes("l");
      start("search", label ? "label" : uuid ? "uuid" : "file");
    } else if (CONFIGS.has(name)) start("config");
    else if (LOADS.has(name)) start("load");
  }

  #looked(device: string, path: string, found: boolean): void {
    const pending = this.#pending;
    if (pending === undefined || pending.by !== "file") return;
    // A search goes on over all devices; what counts is the one that has it.
    if (pending.kind === "search" ? found && !pending.ok && path === pending.target : true) {
      pending.device = device;
      pending.path = path;
      pending.ok = found;
    }
  }

  #probed(device: string, facts: DeviceFacts | undefined): void {
    const pending = this.#pending;
    if (pending === undefined || pending.by === "file" || pending.ok || facts === undefined) return;
    const value = pending.by === "uuid" ? facts.fsUuid?.toLowerCase() : facts.label;
    if (value !== (pending.by === "uuid" ? pending.target.toLowerCase() : pending.target)) return;
    pending.device = device;
    pending.ok = true;
  }

  /** Writes down the step that is under way. */
  finish(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    // `normal` alone reads what $prefix names; a loader without a file is an error of its own.
    if (pending === undefined || (pending.target === "" && pending.device === undefined)) return;
    const { kind, call, device, path, ok } = pending;
    // A loader's step is written down when its file is judged; it comes here only when there is none.
    const unasked = kind === "load" && device === undefined;
    const missed = unasked ? "you need to load the kernel first" : kind === "search" ? "on no device" : "not found";
    const reason = ok ? undefined : missed;
    const rule = [call.name, ...call.args].join(" ");
    this.#add({ kind, rule, file: call.at.file, line: call.at.line, device, path, ok, reason });
  }

  #add(attempt: Attempt): void {
    if (this.attempts.length < MAX_ATTEMPTS) this.attempts.push(attempt);
  }
}
