/** @type {import("next").NextConfig} */
const nextConfig = {
  // Or `output: "export"`, for a site of files.
  output: "standalone",
};

export default nextConfig;
