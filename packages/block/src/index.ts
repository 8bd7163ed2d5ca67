export { abortable, polledSignal, throwIfAborted, turnFor } from "./abort.js";
export { crc32, crc32c, crc32cOfRecords, crc32cOfView, crc32cRaw, crc32cWord, type Gap } from "./crc.js";
export {
  allocate,
  type BlockDevice,
  type ByteRange,
  checkRange,
  type MappedRange,
  readUpTo,
} from "./device.js";
export { errorsOf, type FieldOffsets, type FormatErrors } from "./error-place.js";
export {
  describePlace,
  ERROR_CODES,
  type ErrorCode,
  type ErrorPlace,
  ImageError,
  type ImageErrorOptions,
  isImageError,
} from "./errors.js";
export { checkFeatures, type Feature, featureNames, hasBit, refusedFeatures } from "./features.js";
export {
  type Finding,
  type FindingKind,
  FindingLog,
  finding,
  findingFromError,
  type Report,
  type Severity,
} from "./finding.js";
export { formatGuid, formatUuid, isZero } from "./guid.js";
export { LruCache } from "./lru.js";
export { type Mapping, mappedDevice, type Run, runsDevice } from "./mapped.js";
export { type CachedDevice, cachedDevice, type PageCacheOptions } from "./page-cache.js";
export { type ParityRow, rebuildStripe } from "./parity.js";
export { ReadAhead } from "./read-ahead.js";
export { RecordBlock, RecordCache, RecordTable, type RecordTableOptions } from "./record-table.js";
export { sliceDevice } from "./slice.js";
export { blobDevice } from "./source/blob.js";
export { bufferDevice } from "./source/buffer.js";
export { type HttpDeviceOptions, openHttp } from "./source/http.js";
export { type CountedDevice, countReads, type ReadStats } from "./stats.js";
export {
  compareBytes,
  decodeText,
  decodeTextStrict,
  decodeUtf16,
  encodeText,
  equalBytes,
  toHex,
  untilNul,
} from "./text.js";
export { alignDown, alignUp, checkedAdd, checkedMul, isPowerOfTwo, isU64None, joinU64 } from "./u64.js";
export { compileWasm } from "./wasm.js";
