/* What a process uses, from /proc. */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>

/* CPU time of all threads of a process, in nanoseconds. */
static inline uint64_t process_cpu(int pid)
{
    char path[300];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        unsigned long long on_cpu = 0;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid,
                 task->d_name);
        FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu", &on_cpu) == 1)
            sum += on_cpu;
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

/* The same of a process and its children, as a database has them. */
static inline uint64_t family_cpu(int pid)
{
    char path[64];
    int child;
    uint64_t sum = process_cpu(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return sum;
    while (fscanf(file, "%d", &child) == 1)
        sum += process_cpu(child);
    fclose(file);
    return sum;
}

/* A process's resident memory in KiB. */
static inline long process_memory(int pid)
{
    char path[64], line[256];
    long memory = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &memory) == 1)
            break;
    fclose(file);
    return memory;
}

#endif
