// One object up or down with the AWS SDK for JavaScript, version 3:
//
//     node transfer.cjs buffer|stream|parts|down ENDPOINT REGION BUCKET KEY FILE
//
// `buffer` sends the file from memory, `stream` as it is read, `parts` as a multipart upload.
"use strict";

const fs = require("node:fs");
const { pipeline } = require("node:stream/promises");
const { GetObjectCommand, PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

async function main([how, endpoint, region, bucket, key, file]) {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1 });
  const object = { Bucket: bucket, Key: key };
  if (how === "down") {
    const { Body } = await client.send(new GetObjectCommand(object));
    await pipeline(Body, fs.createWriteStream(file));
  } else if (how === "buffer") {
    await client.send(new PutObjectCommand({ ...object, Body: fs.readFileSync(file) }));
  } else if (how === "stream") {
    const { size } = fs.statSync(file);
    await client.send(new PutObjectCommand({ ...object, Body: fs.createReadStream(file), ContentLength: size }));
  } else if (how === "parts") {
    const params = { ...object, Body: fs.createReadStream(file) };
    await new Upload({ client, params, partSize: 16 << 20, queueSize: 4 }).done();
  } else {
    throw new Error(`${how}: neither up nor down`);
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
