export {
  ENVIRONMENT_SIGNATURE,
  type EnvironmentBlock,
  type EnvironmentVariable,
  editEnvironment,
  parseEnvironment,
} from "./block.js";
