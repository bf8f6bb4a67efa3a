module.exports = require("leven");
