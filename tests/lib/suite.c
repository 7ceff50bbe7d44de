/*
 * suite.c - see suite.h.
 */
#include "tests/lib/suite.h"

#include <stdarg.h>
#include <stdio.h>

int suites_run(CU_SuiteInfo *suites)
{
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failed != 0;
}

int suite_run_with(const char *name, CU_InitializeFunc init, CU_CleanupFunc clean,
                   CU_TestInfo *tests)
{
    CU_SuiteInfo suites[] = {{name, init, clean, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
    return suites_run(suites);
}

int suite_run(const char *name, CU_TestInfo *tests)
{
    return suite_run_with(name, NULL, NULL, tests);
}

void suite_skip(const char *reason, ...)
{
    va_list ap;
    va_start(ap, reason);
    printf("(skip: ");
    vprintf(reason, ap);
    printf(") ");
    va_end(ap);
    fflush(stdout);
}
