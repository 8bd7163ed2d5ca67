import { abortable, polledSignal } from "@guestprobe/block";
import { expect, test } from "vitest";

test("a hundred waiters of one signal: no warning of a leak, and all end when it fires", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): unknown => warnings.push(warning);
  process.on("warning", note);
  const controller = new AbortController();
  const waiters = Array.from({ length: 100 }, () => abortable(new Promise(() => {}), controller.signal));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", note);
  expect(warnings).toEqual([]);
  controller.abort(new Error("enough"));
  for (const result of await Promise.allSettled(waiters)) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
  }
});

test("a promise that is fulfilled comes through, with a signal of either kind", async () => {
  expect(await abortable(Promise.resolve(1), new AbortController().signal)).toBe(1);
  expect(
    await abortable(
      Promise.resolve(2),
      polledSignal(() => {}),
    ),
  ).toBe(2);
  await expect(abortable(Promise.reject(new Error("no")), new AbortController().signal)).rejects.toThrow("no");
});
