// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Two authorities, a server certificate for localhost and a client certificate, in a directory of their own.
package struct Certificates {
    /// openssl is not there, or could not make the certificates.
    package struct Failure: Error {}

    private let directory: URL

    /// The path of a file: `ca.crt`, `other-ca.crt`, `server.crt`, `server.key`, `client.crt`, `client.key`.
    package func path(_ name: String) -> String { directory.appending(path: name).path }

    fileprivate init(directory: URL) throws {
        self.directory = directory
        let script = """
            set -e
            authority() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.crt; }
            certificate() {
                openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
                printf '%s' "$2" > $1.ext
                openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.crt
            }
            authority ca
            authority other-ca
            certificate server 'subjectAltName=DNS:localhost'
            certificate client 'extendedKeyUsage=clientAuth'
            """
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", script]
        process.currentDirectoryURL = directory
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure() }
    }
}

/// Makes certificates, runs `body` with them, and removes them.
package func withCertificates(_ body: (Certificates) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "redlock-tls-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await body(Certificates(directory: directory))
}
