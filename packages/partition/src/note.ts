import { type Finding, type FindingKind, type FindingLog, finding } from "@guestprobe/block";

/** Records a finding about the table at work. */
export type Note = (
  kind: FindingKind,
  message: string,
  where: Pick<Finding, "format" | "structure" | "field" | "offset">,
) => void;

/** A `Note` that writes to a log. */
export function noteTo(log: FindingLog): Note {
  return (kind, message, where) => log.report(finding(kind, message, where));
}
