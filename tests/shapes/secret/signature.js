const crypto = require('crypto');
// AWS Signature Version 4
const algorithm = 'AWS4-HMAC-SHA256';

const region = 'us-east-1';


const secret = '{{secret}}';

function sign(text) {}
