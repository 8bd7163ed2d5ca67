import type { Attempt, Kernel, Reference, Verdict } from "@guestprobe/boot";
import { encodeText } from "@guestprobe/grub/script";
import { textPair } from "@guestprobe/vfs";
import { errorJson, findingJson } from "../output/output.js";

/** Text from the guest: a string, and its bytes beside it where they are no UTF-8. */
function text(key: string, value: string | undefined): Record<string, unknown> {
  return value === undefined ? { [key]: null } : textPair(key, encodeText(value));
}

function attemptJson({ kind, rule, file, line, device, path, ok, reason }: Attempt): Record<string, unknown> {
  return {
    kind,
    ...text("rule", rule),
    ...text("file", file),
    line,
    device: device ?? null,
    ...text("path", path),
    ok,
    reason: reason ?? null,
  };
}

function referenceJson(reference: Reference | undefined): Record<string, unknown> | null {
  if (reference === undefined) return null;
  return { ...text("spec", reference.spec), device: reference.device ?? null, known: reference.known };
}

function kernelJson({
  kind,
  compression,
  arch,
  release,
  pv,
  pvh,
  efiStub,
  sections,
  error,
}: Kernel): Record<string, unknown> {
  return {
    kind,
    compression: compression ?? null,
    arch: arch ?? null,
    ...text("release", release),
    pv: pv ?? null,
    pvh: pvh ?? null,
    efiStub,
    unified: sections.includes(".linux"),
    error: error === undefined ? null : errorJson(error),
  };
}

/** One verdict, as `boot --json` shows it. */
export function verdictJson(verdict: Verdict): Record<string, unknown> {
  const { kernel, initrds, config, entry } = verdict;
  return {
    profile: verdict.profile,
    mode: verdict.mode,
    loader: verdict.loader,
    container: verdict.container,
    answer: verdict.answer,
    ...text("summary", verdict.summary),
    attempts: verdict.attempts.map(attemptJson),
    chain: verdict.chain.map(({ device, path, prefix }) => ({
      device,
      ...text("path", path),
      ...text("prefix", prefix),
    })),
    config: config === undefined ? null : { device: config.device, ...text("path", config.path) },
    entry: entry === undefined ? null : { ...text("title", entry.title), path: entry.path, line: entry.line ?? null },
    kernel:
      kernel === undefined
        ? null
        : { device: kernel.device, ...text("path", kernel.path), bytes: kernel.size, ...kernelJson(kernel.kernel) },
    initrds: initrds.map(({ device, path, size, initrd }) => ({
      device: device ?? null,
      ...text("path", path),
      bytes: size ?? null,
      parts: initrd?.parts.map(({ offset, kind, microcode }) => ({ offset, kind, microcode })) ?? [],
    })),
    ...text("cmdline", verdict.cmdline),
    root: referenceJson(verdict.root),
    resume: referenceJson(verdict.resume),
    fstab: verdict.fstab.map(referenceJson),
    findings: verdict.findings.map(findingJson),
  };
}
