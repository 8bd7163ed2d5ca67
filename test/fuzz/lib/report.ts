/** What one target did in a run. */
export interface Row {
  readonly target: string;
  executions: number;
  /** Different things that happened: codes and messages of errors and findings, numbers left out. */
  outcomes: number;
  failures: number;
}

export interface RunFacts {
  readonly minutes: number;
  readonly seed: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** The summary of a run, as Markdown. */
export function describeRun(rows: readonly Row[], { minutes, seed, cpuSeconds, peakBytes }: RunFacts): string {
  const sum = (key: "executions" | "failures"): number => rows.reduce((total, row) => total + row[key], 0);
  const lines = rows.map((row) => `| ${row.target} | ${row.executions} | ${row.outcomes} | ${row.failures} |`);
  return [
    `${minutes} minutes, seed ${seed}, Node ${process.version}, ${process.platform} ${process.arch}: ` +
      `${Math.round(cpuSeconds)} s of processor time, at most ${Math.round(peakBytes / 2 ** 20)} MiB resident, ` +
      "seeds included.",
    "",
    "| target | executions | outcomes | failures |",
    "| --- | ---: | ---: | ---: |",
    ...lines,
    `| all | ${sum("executions")} | | ${sum("failures")} |`,
    "",
  ].join("\n");
}
