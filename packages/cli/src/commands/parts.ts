import type { Partition } from "@guestprobe/partition";
import type { Context } from "../context.js";
import { EXIT } from "../exit.js";
import type { Disk } from "../guest.js";
import type { MappedDisk } from "../mapped.js";
import { deviceText, escapeGuestText } from "../output/escape.js";
import { findingJson } from "../output/output.js";
import { type Column, formatBytes, table } from "../output/table.js";
import { partitionDevice } from "../partition-name.js";
import { bootCodeJson, bootCodeOf, type Content, contentOf } from "../signature.js";
import type { Run } from "../verbs.js";
import { diskJson, fsJson, mappedJson } from "./disk-json.js";

const COLUMNS: readonly Column[] = [
  { title: "device" },
  { title: "start", align: "right" },
  { title: "end", align: "right" },
  { title: "size", align: "right" },
  { title: "" },
  { title: "type", flexible: true },
  { title: "fs" },
  { title: "name", flexible: true },
];

export const parts: Run = async (context, words, options) => {
  const guest = await context.open(words, options);
  const { out } = context;
  const found = [...guest.disks, ...guest.mapped].some((disk) => disk.partitions.tables.length > 0);
  const held = await contentOf(context, guest);
  const codes = await bootCodeOf(context, guest);
  if (out.options.json) {
    const extra = (device: string): Record<string, unknown> => {
      const { fs, signature } = held.get(device) ?? {};
      return { fs: fsJson(fs, signature), bootCode: bootCodeJson(codes.get(device)) };
    };
    out.json({
      schema: "guestprobe/parts/1",
      disks: guest.disks.map((disk) => diskJson(disk, extra)),
      mapped: guest.mapped.map((disk) => mappedJson(disk, extra)),
      findings: out.log.findings.map(findingJson),
    });
    return found ? EXIT.yes : EXIT.no;
  }
  for (const [index, disk] of guest.disks.entries()) {
    if (index > 0) out.line();
    showTables(context, disk.name, escapeGuestText(disk.image), disk, held);
  }
  for (const disk of guest.mapped) {
    const what = `on ${disk.volume.members.map((name) => `(${name})`).join(", ")}`;
    out.line();
    showTables(context, disk.volume.name, escapeGuestText(what), disk, held);
  }
  return found ? EXIT.yes : EXIT.no;
};

function showTables(
  { out }: Context,
  name: string,
  what: string,
  disk: Disk | MappedDisk,
  held: ReadonlyMap<string, Content>,
): void {
  const { tables, partitions, gaps } = disk.partitions;
  const kinds = tables
    .filter(({ parent }) => parent === undefined)
    .map((found) => (found.role === "main" ? found.kind.toUpperCase() : `${found.role} ${found.kind.toUpperCase()}`));
  const sector = tables[0]?.sectorSize ?? 512;
  const head = `${deviceText(name)}  ${what}: ${formatBytes(disk.device.size)}, sectors of ${sector} bytes`;
  out.line(out.style("bold", `${head}, ${kinds.length === 0 ? "no partition table" : kinds.join(" and ")}`));
  if (tables.length === 0) return;
  const rows = [
    ...partitions.map((partition) => ({ at: partition.start, row: partitionRow(name, partition, held) })),
    ...gaps.map((gap) => ({
      at: gap.start,
      row: ["", String(gap.start), String(gap.start + gap.length), formatBytes(gap.length), "", "(free)", "", ""],
    })),
  ].sort((a, b) => a.at - b.at);
  out.lines(
    table(
      COLUMNS,
      rows.map(({ row }) => row),
      out.width,
    ),
  );
}

function partitionRow(disk: string, partition: Partition, held: ReadonlyMap<string, Content>): string[] {
  const device = partitionDevice(disk, partition);
  const { fs, signature } = held.get(device) ?? {};
  const { start, length, type } = partition;
  return [
    deviceText(device),
    String(start),
    String(start + length),
    formatBytes(length),
    partition.active ? "*" : "",
    escapeGuestText(type.name ?? type.id),
    (fs ?? signature)?.kind ?? "",
    escapeGuestText(partition.name ?? ""),
  ];
}
