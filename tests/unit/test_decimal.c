/*
 * test_decimal.c - numbers as text, held against printf(3).
 */
#include "core/base/decimal.h"
#include "tests/lib/suite.h"

#include <CUnit/Basic.h>
#include <inttypes.h>
#include <stdio.h>

static void test_all_lengths(void)
{
    char got[DECIMAL_MAX], want[32];

    for (int bits = 0; bits <= 64; bits++) {
        for (int off = -2; off <= 2; off++) {
            uint64_t n = (bits < 64 ? UINT64_C(1) << bits : 0) + (uint64_t)off;
            CU_ASSERT_EQUAL(decimal_unsigned(got, n), (size_t)sprintf(want, "%" PRIu64, n));
            CU_ASSERT_STRING_EQUAL(got, want);
            CU_ASSERT_EQUAL(decimal_signed(got, (int64_t)n),
                            (size_t)sprintf(want, "%" PRId64, (int64_t)n));
            CU_ASSERT_STRING_EQUAL(got, want);
        }
    }
    for (uint64_t n = 1; n < UINT64_MAX / 10; n *= 10) {
        decimal_unsigned(got, n - 1);
        sprintf(want, "%" PRIu64, n - 1);
        CU_ASSERT_STRING_EQUAL(got, want);
    }
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"as printf", test_all_lengths},
        CU_TEST_INFO_NULL,
    };
    return suite_run("decimal", tests);
}
