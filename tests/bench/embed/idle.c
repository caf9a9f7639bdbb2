/*
** idle.c - VMs that do nothing, each with limits when the second argument
** is "limits". Prints bytes of resident memory for each.
*/
#include "host.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  neap_config config;
  double before;
  neap_config_init(&config);
  if (argc > 2 && strcmp(argv[2], "limits") == 0)
    limit(&config);
  before = resident();
  for (int i = 0; i < n; i++)
    open_vm(&config);
  printf("%.1f\n", (resident() - before) / n);
  return 0; /* what comes after is not measured */
}
