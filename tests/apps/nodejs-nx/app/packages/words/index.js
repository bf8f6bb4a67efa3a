const pluralize = require("pluralize");

exports.counted = (word, count) => pluralize(word, count, true);
