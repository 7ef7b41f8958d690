// SPDX-License-Identifier: Apache-2.0

/// How a connection uses TLS: the server's certificate is always verified, and must be made out to its host.
public struct TLSSettings: Hashable, Sendable {
    /// A PEM file with the authorities to trust; nil for those that the system trusts.
    public var certificateAuthorityFile: String?

    /// A PEM file with the certificate to present, and those that lead to its authority; nil to present none.
    public var certificateFile: String?

    /// A PEM file with the key of that certificate.
    public var keyFile: String?

    /// The passphrase of the key, which is never printed; nil for a key that is not encrypted.
    ///
    /// It has 1 to 1,023 ASCII characters. A key that is not encrypted is used whatever stands here.
    public var keyPassphrase: String?

    /// The name that the server's certificate must be made out to; nil for the host of the URL.
    ///
    /// A certificate that is made out to the IP address that the connection goes to is accepted as well.
    public var serverName: String?

    /// TLS with the system's authorities and without a client certificate.
    public init(
        certificateAuthorityFile: String? = nil,
        certificateFile: String? = nil,
        keyFile: String? = nil,
        keyPassphrase: String? = nil,
        serverName: String? = nil
    ) {
        self.certificateAuthorityFile = certificateAuthorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.keyPassphrase = keyPassphrase
        self.serverName = serverName
    }
}

extension TLSSettings: CustomStringConvertible, CustomReflectable {
    /// The files and the server's name, without the passphrase.
    public var description: String {
        let parts = shown.compactMap { name, value in value.map { "\(name): \($0)" } }
        return "TLSSettings(\(parts.joined(separator: ", ")))"
    }

    /// Shows all but the passphrase.
    public var customMirror: Mirror { Mirror(self, children: shown.map { (label: $0, value: $1 as Any) }) }

    private var shown: [(String, String?)] {
        [
            ("certificateAuthorityFile", certificateAuthorityFile), ("certificateFile", certificateFile),
            ("keyFile", keyFile), ("serverName", serverName),
        ]
    }
}
