/*
** newstate.c - a VM's life: created and closed. The second argument says
** what kind: "sandbox", "all" that is granted, with "limits". Prints us for
** each.
*/
#include "host.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  const char *kind = argc > 2 ? argv[2] : "sandbox";
  neap_config config;
  double start;
  neap_config_init(&config);
  if (strcmp(kind, "all") == 0)
    config.capabilities = NEAP_CAN_ALL;
  else if (strcmp(kind, "limits") == 0)
    limit(&config);
  start = clock_now();
  for (int i = 0; i < n; i++)
    close_vm(open_vm(&config));
  printf("%.3f\n", (clock_now() - start) * 1e6 / n);
  return 0;
}
