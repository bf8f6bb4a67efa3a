export default {
  title: "Shop",
  cleanUrls: true,
  themeConfig: { nav: [{ text: "Guide", link: "/guide" }] },
};
