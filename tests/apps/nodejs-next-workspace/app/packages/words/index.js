export const heading = "Rendered by a member";
