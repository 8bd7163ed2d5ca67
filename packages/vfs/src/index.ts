export { InodeIndex, ListingCache } from "./directory-cache.js";
export { StoredDirent } from "./dirent.js";
export { type Entry, type EntryParts, textPair, toEntry } from "./entry.js";
export { ENTRY_BYTES, type PathSource, writeEntry } from "./entry-json.js";
export {
  clampRead,
  filePieces,
  gatherPieces,
  isContentRange,
  type Piece,
  placeAt,
  type ReadFileOptions,
  type ReadStreamOptions,
  readFile,
  readStream,
  readThroughExtents,
  readThroughExtentsNow,
} from "./file.js";
export { FILE_TYPE_OF_DIRENT, FILE_TYPE_OF_MODE } from "./file-type.js";
export {
  childPath,
  hasTrailingSlash,
  isAbsolutePath,
  isDots,
  isPossibleName,
  isUsableName,
  joinPath,
  type PathLike,
  pathBytes,
  splitPath,
} from "./path.js";
export { AMBIGUOUS_FILE_SYSTEM, openFileSystem, probeFileSystem } from "./probe.js";
export {
  GRUB_WALK,
  LINUX_WALK,
  open,
  type Resolved,
  type ResolveOptions,
  resolve,
  type WalkPolicy,
} from "./resolve.js";
export { plainStat } from "./stat.js";
export { nanoseconds } from "./time.js";
export type {
  ChecksumPolicy,
  DeviceNumber,
  Dirent,
  Extent,
  FileSystem,
  FileSystemFormat,
  FileType,
  Inode,
  OpenOptions,
  Stat,
  Xattr,
} from "./types.js";
export { type WalkEntry, type WalkOptions, walk, walkAll, walkBatches } from "./walk.js";
