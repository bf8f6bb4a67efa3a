module.exports = {
  title: "Shop",
  url: "https://shop.example",
  baseUrl: "/",
  presets: [["classic", { docs: { routeBasePath: "/" }, blog: false }]],
};
