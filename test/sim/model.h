/* Compares hop.h with what was measured. */
#ifndef FB_SIM_MODEL_H
#define FB_SIM_MODEL_H

/* Prints a line for each case; how many failed. *passed is raised by those that did not. */
unsigned model_test(unsigned *passed);

#endif
