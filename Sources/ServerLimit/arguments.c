// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"
#include "failure.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: ServerLimit --ports PORT,... --mode plain|file|hiredis --tasks COUNT --seconds SECONDS\n"
    "\n"
    "Measures how fast Redis servers on 127.0.0.1 can grant and release locks to one client.\n"
    "\n"
    "  --ports PORT,...    the servers\n"
    "  --mode plain        SET NX PX and a compare-and-delete, as prepared bytes\n"
    "  --mode hiredis      the same through hiredis\n"
    "  --mode file         the prepared bytes of the file that --commands names\n"
    "  --commands PATH     the file of commands\n"
    "  --tasks COUNT       how many locks are acquired and released at the same time\n"
    "  --seconds SECONDS   how long to measure, after a tenth of it to warm up\n"
    "  --cycles COUNT      instead of --seconds: how many cycles, without warming up\n";

/// The task number has eight digits in the name of a lock.
#define MOST_TASKS 99999999

_Noreturn static void fail_with_usage(const char *problem) {
    fprintf(stderr, "%s\n", usage);
    fail(EXIT_CODE_USAGE, "%s", problem);
}

/// Reads a number that begins with a digit, so without the signs and spaces that strtoull takes.
static bool parse_number(const char *text, char **end, uint64_t most, uint64_t *number) {
    if (!isdigit((unsigned char)*text)) return false;
    errno = 0;
    unsigned long long value = strtoull(text, end, 10);
    *number = value;
    return errno == 0 && value > 0 && value <= most;
}

static uint64_t parse_count(const char *text, uint64_t most, const char *problem) {
    char *end;
    uint64_t number;
    if (!parse_number(text, &end, most, &number) || *end != '\0') fail_with_usage(problem);
    return number;
}

static uint32_t parse_task_count(const char *text) {
    return (uint32_t)parse_count(text, MOST_TASKS, "--tasks wants a number from 1 to 99999999");
}

static double parse_seconds(const char *text) {
    char *end;
    errno = 0;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !(seconds > 0 && seconds <= 86400)) {
        fail_with_usage("--seconds wants a number above 0, a day at most");
    }
    return seconds;
}

static void parse_ports(const char *text, struct arguments *arguments) {
    size_t most = strlen(text) / 2 + 1;
    uint16_t *ports = allocate(most, sizeof *ports);
    arguments->node_count = 0;
    for (;;) {
        char *end;
        uint64_t port;
        bool is_port = parse_number(text, &end, UINT16_MAX, &port);
        if (!is_port || (*end != ',' && *end != '\0')) fail_with_usage("--ports wants ports, with commas between");
        ports[arguments->node_count++] = (uint16_t)port;
        if (*end == '\0') break;
        text = end + 1;
    }
    arguments->ports = ports;
}

static enum mode parse_mode(const char *text) {
    if (strcmp(text, "plain") == 0) return MODE_PLAIN;
    if (strcmp(text, "file") == 0) return MODE_FILE;
    if (strcmp(text, "hiredis") == 0) return MODE_HIREDIS;
    fail_with_usage("--mode wants plain, file or hiredis");
}

static void check(const struct arguments *arguments, bool has_mode) {
    if (arguments->node_count == 0) fail_with_usage("--ports is missing");
    if (!has_mode) fail_with_usage("--mode is missing");
    if (arguments->task_count == 0) fail_with_usage("--tasks is missing");
    if (arguments->seconds == 0 && arguments->cycles == 0) fail_with_usage("--seconds or --cycles is missing");
    if ((arguments->mode == MODE_FILE) != (arguments->commands_path != NULL)) {
        fail_with_usage("--mode file and --commands belong together");
    }
}

struct arguments arguments_parse(int count, char **values) {
    static const struct option options[] = {
        {"ports", required_argument, NULL, 'p'},  {"mode", required_argument, NULL, 'm'},
        {"tasks", required_argument, NULL, 't'},  {"seconds", required_argument, NULL, 's'},
        {"cycles", required_argument, NULL, 'c'}, {"commands", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {0};
    bool has_mode = false;
    opterr = 0;
    int option;
    while ((option = getopt_long(count, values, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': parse_ports(optarg, &arguments); break;
        case 'm': arguments.mode = parse_mode(optarg); has_mode = true; break;
        case 't': arguments.task_count = parse_task_count(optarg); break;
        case 's': arguments.seconds = parse_seconds(optarg); break;
        case 'c': arguments.cycles = parse_count(optarg, UINT64_MAX, "--cycles wants a number above 0"); break;
        case 'f': arguments.commands_path = optarg; break;
        default: fail_with_usage("an option is unknown or lacks its value");
        }
    }
    if (optind != count) fail_with_usage("there is an argument that belongs to no option");
    check(&arguments, has_mode);
    return arguments;
}
