export { type FileDevice, type FileDeviceOptions, openFile } from "./file.js";
