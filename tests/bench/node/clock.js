// The processor time of this process in seconds, all its threads together.
'use strict';

module.exports = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
