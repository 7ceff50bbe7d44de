/*
 * test_requests_server.c - requests on their way to what only a server is: a script it forgot,
 * writes it refuses, a connection that breaks, boards that leave.
 */
#include "tests/core/requests.h"

#include "core/redis/lua_text.h"

/* 1,000 boards: those idle for a week leave when a new one comes. */
static void test_boards_leave(void)
{
    uint64_t last, now = (uint64_t)clock_now().sec;
    uint8_t value[16];

    begin();
    for (int i = 0; i < 1001; i++) {
        put_be64(value, 5);
        put_be64(value + 8, i % 2 ? now - 8 * 86400 : now - 6 * 86400);
        server_int(server, "HSET ~seq board%d %b", i, value, sizeof(value));
    }
    CU_ASSERT_EQUAL(send_one(1, false, "a", &last), BATCH_APPLIED);
    CU_ASSERT_EQUAL(server_int(server, "HLEN ~seq"), 501 + 1);
    CU_ASSERT_EQUAL(server_int(server, "HEXISTS ~seq board1"), 0);
    CU_ASSERT_EQUAL(server_int(server, "HEXISTS ~seq board1000"), 1);
    end();
}

/* The server forgets the script while several are on their way. */
static void test_script_is_lost(void)
{
    struct mine *m[5];

    begin();
    exists("x"); /* the script is known */
    server_int(server, "SCRIPT FLUSH");
    for (int i = 0; i < 5; i++) {
        m[i] = mine(BOARD, i + 1, 2, "d");
        submit(m[i]);
    }
    CU_ASSERT(exists("d1")); /* NOSCRIPT too, and behind them */
    for (int i = 0; i < 5; i++) {
        wait_for(m[i]);
        CU_ASSERT_EQUAL(m[i]->rq.rc, 0);
        CU_ASSERT_EQUAL(m[i]->rq.outcome, BATCH_APPLIED);
        CU_ASSERT_EQUAL(m[i]->res[0].code, i == 0 ? 0 : -EEXIST);
        release(m[i]);
    }
    server_int(server, "SCRIPT FLUSH");
    for (int i = 0; i < 5; i++) {
        m[i] = mine(BOARD, i + 6, 2, "e");
        submit(m[i]);
    }
    for (int i = 0; i < 5; i++) { /* without a call */
        wait_for(m[i]);
        CU_ASSERT_EQUAL(m[i]->rq.outcome, BATCH_APPLIED);
        CU_ASSERT_EQUAL(m[i]->res[0].code, i == 0 ? 0 : -EEXIST);
        release(m[i]);
    }
    CU_ASSERT_EQUAL(server_int(server, "SCRIPT EXISTS %s", lua_dispatch_sha1), 1);
    end();
}

/* A server that refuses writes refuses a batch whole, and it can come again. */
static void test_refused_whole(void)
{
    uint64_t last;

    begin();
    CU_ASSERT_EQUAL(send_one(1, false, "a", &last), BATCH_APPLIED);
    server_int(server, "CONFIG SET maxmemory 1");
    CU_ASSERT_EQUAL(send_one(2, false, "b", &last), -ENOSPC);
    server_int(server, "CONFIG SET maxmemory 0");
    server_int(server, "CONFIG SET min-replicas-to-write 1");
    CU_ASSERT_EQUAL(send_one(2, false, "b", &last), -EROFS);
    server_int(server, "CONFIG SET min-replicas-to-write 0");
    server_int(server, "REPLICAOF 127.0.0.1 1");
    CU_ASSERT_EQUAL(send_one(2, false, "b", &last), -EROFS);
    server_int(server, "REPLICAOF NO ONE");
    CU_ASSERT_FALSE(exists("b"));
    CU_ASSERT_EQUAL(send_one(2, false, "b", &last), BATCH_APPLIED);
    end();
}

/* All on their way complete with an errno; sent again they are applied once. */
static void test_connection_breaks(void)
{
    struct mine *m[4];

    begin();
    CU_ASSERT_FALSE(exists("x"));
    server_freeze(server);
    for (int i = 0; i < 4; i++) {
        m[i] = mine(BOARD, i + 1, 2, i % 2 ? "odd" : "even");
        submit(m[i]);
    }
    server_unfreeze(server);
    server_kill(server);
    for (int i = 0; i < 4; i++) {
        wait_for(m[i]);
        CU_ASSERT(m[i]->rq.rc == 0 || m[i]->rq.rc == -EIO);
    }
    server_again(server); /* it has forgotten everything */
    struct setting v = volume_setting("/var/none/", 0);
    volume_format(server, 0, &v);
    for (int i = 0; i < 4; i++)
        submit(m[i]);
    for (int i = 0; i < 4; i++) {
        wait_for(m[i]);
        CU_ASSERT_EQUAL(m[i]->rq.rc, 0);
        CU_ASSERT_EQUAL(m[i]->rq.outcome, BATCH_APPLIED);
        CU_ASSERT_EQUAL(m[i]->res[0].code, i < 2 ? 0 : -EEXIST);
        release(m[i]);
    }
    server_stop(server);
    m[0] = mine(BOARD, 5, 1, "z");
    submit(m[0]);
    wait_for(m[0]);
    CU_ASSERT(m[0]->rq.rc < 0);
    release(m[0]);
    server_again(server);
    end();
}

int main(void)
{
    CU_TestInfo tests[] = {
        {"boards leave", test_boards_leave},
        {"the script is lost", test_script_is_lost},
        {"refused whole", test_refused_whole},
        {"the connection breaks", test_connection_breaks},
        CU_TEST_INFO_NULL,
    };
    server = server_start();
    int rc = suite_run("requests, a server's", tests);
    server_free(server);
    return rc;
}
