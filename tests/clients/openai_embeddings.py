"""Embeddings and models by OpenAI's client, over TCP with a bearer token."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import daemon  # noqa: E402
import openai  # noqa: E402

TEXTS = ["anna maria", "bert"]


class OpenAIClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.running = daemon.running()
        cls.daemon = cls.running.__enter__()
        cls.client = cls.connect(cls.daemon.token)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.running.__exit__(None, None, None)

    @classmethod
    def connect(cls, token):
        return openai.OpenAI(base_url=f"http://127.0.0.1:{cls.daemon.port}/v1",
                             api_key=token, max_retries=0)

    def embed(self, **options):
        return self.client.embeddings.create(model="tiny", **options)

    def test_float_and_base64_are_the_same_vectors(self):
        floats = self.embed(input=TEXTS, encoding_format="float")
        coded = self.embed(input=TEXTS)  # base64 is what the client asks for
        self.assertEqual([item.index for item in floats.data], [0, 1])
        for a, b in zip(floats.data, coded.data, strict=True):
            self.assertEqual(len(a.embedding), 32)
            for x, y in zip(a.embedding, b.embedding, strict=True):
                self.assertAlmostEqual(x, y, places=7)
            self.assertAlmostEqual(sum(x * x for x in b.embedding), 1.0, places=5)

    def test_one_text_is_one_vector_and_tokens_are_counted(self):
        one = self.embed(input=TEXTS[0])
        both = self.embed(input=TEXTS)
        self.assertEqual(one.data[0].embedding, both.data[0].embedding)
        self.assertEqual(one.model, "tiny")
        self.assertGreater(both.usage.prompt_tokens, one.usage.prompt_tokens)
        self.assertEqual(one.usage.total_tokens, one.usage.prompt_tokens)

    def test_models_are_listed(self):
        self.assertIn("tiny", [model.id for model in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve("tiny").id, "tiny")

    def test_failures_are_the_clients_own_exceptions(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.embeddings.create(model="none", input="a")
        with self.assertRaises(openai.BadRequestError):
            self.embed(input=[])
        with self.connect("x" * 32) as other:
            with self.assertRaises(openai.AuthenticationError):
                other.models.list()


if __name__ == "__main__":
    unittest.main()
