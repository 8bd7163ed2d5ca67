import { type BlockDevice, ImageError } from "@guestprobe/block";
import { type Layer, type LayerContext, NO_INFO, type ParentReference } from "../layer.js";
import { tableDevice } from "../tables.js";
import { batEntries, batLocator } from "./bat.js";
import { readHeader, readRegions } from "./header.js";
import { replayLog } from "./log.js";
import { readMetadata, type VhdxMetadata } from "./metadata.js";

/**
 * Opens a VHDX: fixed, dynamic or differencing. A log that is in use is replayed in memory first.
 *
 * @throws ImageError `not-this-format`, `bad-checksum`, `corrupt`, `past-end`, `limit`, `unsupported`, `io`.
 */
export async function openVhdx(disk: BlockDevice, context: LayerContext): Promise<Layer> {
  const header = await readHeader(disk, context);
  const file = await replayLog(disk, header, context);
  const regions = await readRegions(file, context);
  const tables = tableDevice(file, context.cacheBudget);
  const metadata = await readMetadata(tables, regions.metadata, context.signal);
  const entries = batEntries(metadata);
  if (entries * 8 > regions.bat.length) {
    const reason = `the BAT region of ${regions.bat.length} bytes is too small for ${entries} entries`;
    throw new ImageError("corrupt", reason, { format: "vhdx", structure: "BAT", offset: regions.bat.offset });
  }
  const parent = metadata.hasParent ? describeParent(metadata) : undefined;
  const dynamic = metadata.hasParent ? "differencing" : "dynamic";
  return {
    format: "vhdx",
    virtualSize: metadata.virtualSize,
    sectorSize: metadata.sectorSize,
    identity: normalise(header.dataWriteGuid),
    parent,
    info: {
      ...NO_INFO,
      subformat: metadata.fixed ? "fixed" : dynamic,
      clusterSize: metadata.blockSize,
      references: parent === undefined ? [] : [parent],
    },
    locate: batLocator(file, tables, regions.bat, metadata),
  };
}

/** Keys of [MS-VHDX] section 2.6.2.6.3, the one that survives a move first. */
const PATHS = ["relative_path", "absolute_win32_path", "volume_path"];
const LINKAGES = ["parent_linkage", "parent_linkage2"];

function describeParent(metadata: VhdxMetadata): ParentReference {
  const valuesOf = (keys: readonly string[]) => keys.flatMap((key) => metadata.parent.get(key) ?? []);
  const identities = valuesOf(LINKAGES).map(normalise);
  const names = valuesOf(PATHS).filter((name) => name !== "");
  // With no path the parent is still known by its identifier, and with neither it is a file all the same.
  return { kind: "backing", names: names.length > 0 ? names : [identities[0] ?? ""], format: "vhdx", identities };
}

/** "{...}" in either case, as a linkage is written, without the braces. */
function normalise(guid: string): string {
  return guid.replace(/^\{|\}$/g, "").toLowerCase();
}
