export { type FileDevice, type FileDeviceOptions, openFile, systemReason } from "./file.js";
