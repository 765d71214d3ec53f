// What was set for the instance, from its environment: no password is in an argument or in a file.
const path = require("path");
const bcrypt = require(path.join(__dirname, ".npm/node_modules/bcryptjs"));

const env = process.env;

module.exports = {
    uiPort: Number(env.PORT_HTTP),
    flowFile: "flows.json",
    credentialSecret: env.CONFIG_CREDENTIAL_SECRET,
    adminAuth: {
        type: "credentials",
        users: [{ username: env.CONFIG_USERNAME, password: bcrypt.hashSync(env.CONFIG_PASSWORD, 8), permissions: "*" }],
    },
    diagnostics: { enabled: true, ui: true },
    telemetry: { enabled: false, updateNotification: false },
    logging: { console: { level: "info", metrics: false, audit: false } },
    editorTheme: { tours: false },
};
