export { default } from "leven";
