/** The results as text, and whether the targets were met. */

const ms = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));

/** Each target with the ratio that was measured; undefined where one of the two has no result. */
export function judge({ targets, results }) {
  const median = (name) => results.find((result) => result.name === name)?.median;
  return targets.map((target) => {
    const [ours, than] = [median(target.ours), median(target.than)];
    if (ours === undefined || than === undefined) return { ...target, ratio: undefined, met: undefined };
    const ratio = target.atMost === undefined ? than / ours : ours / than;
    return { ...target, ratio, met: target.atMost === undefined ? ratio >= target.faster : ratio <= target.atMost };
  });
}

function targetText({ ours, than, atMost, faster, ratio, met }) {
  const what =
    atMost === undefined ? `${ours}, ${faster} times as fast as ${than}` : `${ours}, at most ${atMost} times ${than}`;
  if (ratio === undefined) return `- ${what}: not measured`;
  return `- ${what}: **${ratio.toFixed(2)}**, ${met ? "met" : "not met"}`;
}

/** One task as Markdown: a table of medians, then its counts and targets. */
export function taskText(task) {
  const base = task.results[0]?.median;
  const rows = task.results.map((result) =>
    result.cannot === undefined
      ? `| ${result.name} | ${ms(result.median)} | ${ms(result.least)} to ${ms(result.most)} | ${(result.median / base).toFixed(2)} |`
      : `| ${result.name} | cannot | ${result.cannot.slice(0, 60)} | |`,
  );
  const counts = Object.entries(task.counts ?? {}).map(([name, value]) => `${value.toLocaleString("en")} ${name}`);
  const warmed = task.results.filter(({ warmups }) => warmups !== undefined);
  const firsts = warmed.map(({ name, first }) => `${name} ${ms(first)}`);
  return [
    `### ${task.title}`,
    "",
    "| who | median ms | spread | to the first |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    ...(firsts.length > 0
      ? [`The first call, before its process was warm, took, in ms: ${firsts.join(", ")}.`, ""]
      : []),
    ...(counts.length > 0 ? [`Read from the image: ${counts.join(", ")}.`, ""] : []),
    ...judge(task).map(targetText),
    "",
  ].join("\n");
}
