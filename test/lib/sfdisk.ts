import type { Partition, PartitionTable } from "@guestprobe/partition";

/** One partition as `sfdisk --json` shows it, its number in place of the node. Sectors. */
export interface SfdiskPartition {
  readonly number: number;
  readonly start: number;
  readonly size: number;
  readonly type: string;
  readonly bootable?: boolean;
  readonly uuid?: string;
  readonly name?: string;
  readonly attrs?: string;
}

export interface SfdiskTable {
  readonly label: "dos" | "gpt";
  readonly id: string;
  readonly sectorsize: number;
  readonly partitions: readonly SfdiskPartition[];
}

const ATTRIBUTES = new Map([
  ["required", "RequiredPartition"],
  ["no-block-io", "NoBlockIOProtocol"],
  ["legacy-boot", "LegacyBIOSBootable"],
]);

/** The attributes in sfdisk's words: its three names, then the numbers of the bits that belong to the type. */
function attrsOf(partition: Partition): string {
  const named = partition.attributes.map((name) => ATTRIBUTES.get(name)).filter((name) => name !== undefined);
  const bits = partition.attributes.filter((name) => name.startsWith("bit-")).map((name) => name.slice(4));
  return [...named, ...(bits.length > 0 ? [`GUID:${bits.join(",")}`] : [])].join(" ");
}

/** A table as we read it, in the shape of `sfdisk --json`; what sfdisk leaves out is left out. */
export function inSfdiskWords(table: PartitionTable, partitions: readonly Partition[]): SfdiskTable {
  const { sectorSize } = table;
  const isGpt = table.kind === "gpt";
  return {
    label: isGpt ? "gpt" : "dos",
    id: isGpt ? (table.uuid ?? "") : `0x${table.uuid ?? "00000000"}`,
    sectorsize: sectorSize,
    partitions: partitions
      .filter((partition) => partition.table === table.kind && partition.role === table.role)
      .map((partition) => ({
        number: partition.number,
        start: partition.start / sectorSize,
        size: partition.length / sectorSize,
        type: isGpt ? partition.type.id : partition.type.id.replace(/^0x0?/, ""),
        ...(!isGpt && partition.active ? { bootable: true } : {}),
        ...(isGpt ? { uuid: partition.uuid ?? "" } : {}),
        ...(isGpt && partition.name !== "" ? { name: partition.name ?? "" } : {}),
        ...(isGpt && partition.attributes.length > 0 ? { attrs: attrsOf(partition) } : {}),
      }))
      .sort((a, b) => a.number - b.number),
  };
}
