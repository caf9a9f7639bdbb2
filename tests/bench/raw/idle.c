/*
** idle.c - the limit of an idle VM: a Lua state with the standard libraries.
** Prints bytes of resident memory for each.
*/
#include "bench.h"

int main(int argc, char **argv) {
  int n = count_argument(argc, argv);
  double before = resident();
  for (int i = 0; i < n; i++)
    open_state();
  printf("%.1f\n", (resident() - before) / n);
  return 0; /* what comes after is not measured */
}
