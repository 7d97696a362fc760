/* A peer of the program that Dogtag starts: one round trip on a Unix socket, and nothing else. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words)
{
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char answer[1024];
    int peer = socket(AF_UNIX, SOCK_STREAM, 0);

    if (count != 2 || peer < 0)
        return 1;
    strncpy(place.sun_path, words[1], sizeof place.sun_path - 1);
    if (connect(peer, (struct sockaddr *)&place, sizeof place) || write(peer, "x", 1) != 1 || shutdown(peer, SHUT_WR))
        return 1;
    return read(peer, answer, sizeof answer) <= 0;
}
