// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Two authorities, server certificates for localhost and a client certificate, in a directory of their own.
package struct Certificates {
    /// openssl is not there, or could not make the certificates.
    package struct Failure: Error {}

    private let directory: URL

    /// What the encrypted keys of the client are encrypted with.
    package static let passphrase = "correct-horse"

    /// The path of a file: `ca.crt`, `other-ca.crt`, `server.crt`, `server.key`, `client.crt`, `client.key`, the same key
    /// encrypted in both forms (`client-encrypted.key`, `client-traditional.key`), and `expired.crt`, made out as
    /// `server.crt` for the same key.
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
            openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -days -1 -extfile server.ext -out expired.crt
            encrypt="-in client.key -passout pass:\(Self.passphrase)"
            openssl pkcs8 -topk8 $encrypt -out client-encrypted.key
            openssl rsa -aes256 -traditional $encrypt -out client-traditional.key
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
