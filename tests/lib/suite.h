/*
 * suite - the main() of a CUnit program, in the form that tests/run reads: a line a case.
 */
#ifndef JFSPRE_TESTS_LIB_SUITE_H
#define JFSPRE_TESTS_LIB_SUITE_H

#include <CUnit/Basic.h>

/* Runs all suites up to CU_SUITE_INFO_NULL.  What main() returns: 0; 1: a case failed, or a suite's
 * set-up, so that its cases did not run; 2: CUnit cannot begin. */
int suites_run(CU_SuiteInfo *suites);
/* One suite; tests ends with CU_TEST_INFO_NULL. */
int suite_run(const char *name, CU_TestInfo *tests);
/* init runs before its cases, clean after them; they return 0, or why not. */
int suite_run_with(const char *name, CU_InitializeFunc init, CU_CleanupFunc clean,
                   CU_TestInfo *tests);

/* In a case that cannot run here, before it returns: it is counted as skipped, with this reason, a
 * line without brackets. */
void suite_skip(const char *reason, ...) __attribute__((format(printf, 1, 2)));

#endif
